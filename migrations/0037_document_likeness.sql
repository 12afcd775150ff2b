-- The same order with another total, under another number, or under none.

alter table document_drafts
  -- SHA-256 of customer and number as it was read, whatever the total is.
  add column number_hash bytea check (length(number_hash) = 32),
  -- SHA-256 of customer, total and lines, whatever the number is.
  add column likeness_hash bytea check (length(likeness_hash) = 32);
create index document_drafts_number_idx on document_drafts (site_id, number_hash);
create index document_drafts_likeness_idx on document_drafts (site_id, likeness_hash);
