-- How a call went that cost nothing is kept as well: who was asked, how often, and for how long.
alter table model_calls
  drop constraint model_calls_settled_whole,
  add constraint model_calls_settled_whole check (
    num_nulls(cost, input_tokens, cached_input_tokens, output_tokens, reasoning_tokens, by_provider) in (0, 6)),
  add constraint model_calls_went_whole check (num_nulls(latency_ms, tries) in (0, 2) and (cost is null or tries is not null)),
  -- False: by a key of the site's own, and the operator's limits are no ceiling.
  add column operator_pays boolean not null default true;
