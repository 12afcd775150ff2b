//! What is there before anything is measured: put in by psql, as superuser, because a million rows are not placed one by one.

pub const SITE: &str = "018f0000-0000-7000-8000-0000000000aa";
pub const BUYER: &str = "018f0000-0000-7000-8000-0000000000bb";
pub const ASSET: &str = "018f0000-0000-7000-8000-0000000000cc";
/// A decimal number of twelve digits behind it makes a tier's id.
pub const TIER_PREFIX: &str = "018f0000-0000-7000-8000-";
/// …and a site's, for the lists.
pub const LIST_SITE_PREFIX: &str = "018f0000-0000-7000-9000-";
/// Tier 1 to 1,000 are spread over; tier 2,000 is the hot one.
pub const TIERS: u32 = 1000;
pub const HOT_TIER: u32 = 2000;
pub const LIST_SITES: u32 = 100;
pub const ORDERS_PER_LIST_SITE: u32 = 10_000;

/// Every second buyer has claimed one of so many referrers, who were all referred by the first of them.
pub const REFERRERS: u64 = 100;
/// A number of twelve digits behind these makes the ids of a placed order that waits for its payment.
pub const REFERRER_PREFIX: &str = "018f0000-0000-7000-a000-";
pub const PARTY_PREFIX: &str = "018f0000-0000-7000-a001-";
pub const ORDER_PREFIX: &str = "018f0000-0000-7000-a002-";
pub const LINE_PREFIX: &str = "018f0000-0000-7000-a003-";
pub const ATTEMPT_PREFIX: &str = "018f0000-0000-7000-a004-";

const PLAN: &str = "018f0000-0000-7000-8000-0000000000dd";
const LEVELS: &str = r#"[{"level": 1, "rate": "0.12", "minimum_sales": {"amount": "0.00", "currency": "USD"}}, {"level": 2, "rate": "0.04", "minimum_sales": {"amount": "0.00", "currency": "USD"}}]"#;
/// Of every tier's unit, in cents.
pub const PRICE: u32 = 10_000;
pub const WALLET: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

/// The id of number `n` behind one of the prefixes.
pub fn id(prefix: &str, n: u64) -> String {
    format!("{prefix}{n:012}")
}

/// The tier of payable order number `n`.
pub fn tier_of(n: u64) -> u64 {
    n % u64::from(TIERS) + 1
}

/// The referrer whom its buyer has claimed, if `n` is odd.
pub fn referrer_of(n: u64) -> u64 {
    n / 2 % REFERRERS + 1
}

pub fn tier_id(number: u64) -> String {
    format!("tier_{}{number:012}", TIER_PREFIX.replace('-', ""))
}

/// One site with its tiers, all with more units than any run sells.
pub fn tiers() -> String {
    format!(
        "insert into sites (id, code, name, host_names, currency, time_zone, created_at)
         values ('{SITE}', 'BENCH', 'Bench', '{{}}', 'USD', 'UTC', '2026-01-01');
         insert into site_vaults values ('0', '{SITE}');
         set app.current_site_id = '{SITE}';
         insert into parties (id, referral_code, created_at) values ('{BUYER}', 'BENCH-AAAAAA', '2026-01-01');
         insert into chain_assets (id, chain, symbol, decimals, provider_asset, vault, created_at)
         values ('{ASSET}', 'POLYGON', 'PSX', 18, 'PSX_POLYGON', '0', '2026-01-01');
         insert into tiers (id, name, asset_id, currency, list_price, tokens_per_unit, bonus_per_unit, max_per_order, created_at, updated_at)
         select ('{TIER_PREFIX}' || lpad(n::text, 12, '0'))::uuid, 'Bench tier', '{ASSET}', 'USD', 10000, 1000000, 1, 1000, '2026-01-01', '2026-01-01'
         from (select generate_series(1, {TIERS}) union all select {HOT_TIER}) as t (n);
         insert into tier_stock (tier_id, supply) select id, 1000000000 from tiers;"
    )
}

/// The referrers of the buyers below, and the plan by which they earn.
pub fn referrers() -> String {
    format!(
        "set session_replication_role = replica;
         set app.current_site_id = '{SITE}';
         insert into commission_plans (id, name, version, levels, hold_days, effective_from, activation, created_at)
         values ('{PLAN}', 'Bench', 1, '{LEVELS}', 7, '2026-01-01', 1, '2026-01-01');
         insert into parties (id, referral_code, created_at)
         select ('{REFERRER_PREFIX}' || lpad(n::text, 12, '0'))::uuid, 'BENCH-R' || n, '2026-01-01' from generate_series(1, {REFERRERS}) n;
         insert into referrals (party_id, referrer_id, order_id, bound_at)
         select ('{REFERRER_PREFIX}' || lpad(n::text, 12, '0'))::uuid, ('{REFERRER_PREFIX}' || lpad('1', 12, '0'))::uuid,
                ('{ORDER_PREFIX}' || lpad('0', 12, '0'))::uuid, '2026-01-01'
         from generate_series(2, {REFERRERS}) n;
         insert into referral_paths (ancestor_id, descendant_id, depth, since)
         select referrer_id, party_id, 1, bound_at from referrals;"
    )
}

/// Placed orders number `first` and on, one for each intent, spread over the thousand tiers: each of a buyer of its own, those
/// with an odd number with a claimed referrer.
pub fn payable(first: u64, intents: &[String]) -> String {
    let plan = PLAN.replace('-', "");
    format!(
        "set session_replication_role = replica;
         set app.current_site_id = '{SITE}';
         create temporary table payable as
         select n, lpad(n::text, 12, '0') as digits, ('{TIER_PREFIX}' || lpad((n % {TIERS} + 1)::text, 12, '0'))::uuid as tier, intent
         from (select {first} + position - 1 as n, intent
               from unnest('{{{}}}'::text[]) with ordinality as i (intent, position)) numbered;
         insert into parties (id, referral_code, claimed_referrer_id, created_at)
         select ('{PARTY_PREFIX}' || digits)::uuid, 'BENCH-B' || n,
                case when n % 2 = 1 then ('{REFERRER_PREFIX}' || lpad((n / 2 % {REFERRERS} + 1)::text, 12, '0'))::uuid end, '2026-01-01'
         from payable;
         insert into orders (id, number, kind, buyer_id, lifecycle, payment, delivery, currency, subtotal, total, chain, wallet_address,
                             plan_snapshot, placed_at, expires_at)
         select ('{ORDER_PREFIX}' || digits)::uuid, 'BENCH-P' || n, 'token', ('{PARTY_PREFIX}' || digits)::uuid, 'placed', 'unpaid', 'none',
                'USD', {PRICE}, {PRICE}, 'POLYGON', '{WALLET}',
                '{{\"plan\": \"plan_{plan}\", \"name\": \"Bench\", \"version\": 1, \"levels\": {LEVELS}, \"hold_days\": 7}}', now(), now() + interval '1 day'
         from payable;
         insert into order_lines (order_id, id, position, tier_id, tier_name, asset_id, quantity, unit_price, amount, tokens)
         select ('{ORDER_PREFIX}' || digits)::uuid, ('{LINE_PREFIX}' || digits)::uuid, 0, tier, 'Bench tier', '{ASSET}', 1, {PRICE}, {PRICE}, 1000001
         from payable;
         insert into payment_attempts (id, order_id, provider, intent_id, currency, amount, state, outcome_unknown, created_at, updated_at)
         select ('{ATTEMPT_PREFIX}' || digits)::uuid, ('{ORDER_PREFIX}' || digits)::uuid, 'stripe', intent, 'USD', {PRICE}, 'created', false,
                now(), now()
         from payable;
         insert into external_ids select 'stripe', intent, '{SITE}' from payable;
         update tier_stock s set reserved = reserved + p.orders
         from (select tier, count(*) as orders from payable group by tier) p where s.tier_id = p.tier;
         set session_replication_role = origin;
         vacuum analyze parties, orders, order_lines, payment_attempts, external_ids, tier_stock;",
        intents.join(",")
    )
}

/// How many of the payable orders from `first` to before `end` are paid, and how many of their units are sold.
pub fn paid(first: u64, end: u64) -> String {
    format!(
        "set app.current_site_id = '{SITE}';
         select count(*) filter (where o.payment = 'paid' and a.state = 'succeeded'), count(m.id)
         from orders o join payment_attempts a on a.site_id = o.site_id and a.order_id = o.id
         left join stock_movements m on m.site_id = o.site_id and m.order_id = o.id and m.kind = 'sell'
         where o.site_id = '{SITE}' and o.id >= '{}' and o.id < '{}';",
        id(ORDER_PREFIX, first),
        id(ORDER_PREFIX, end)
    )
}

/// An empty inbox and an empty queue: what earlier runs left there is done by nobody.
pub fn nothing_waits() -> String {
    "truncate webhook_inbox;
     delete from graphile_worker._private_jobs;
     vacuum graphile_worker._private_jobs;"
        .to_owned()
}

/// A million orders of a hundred sites, as plain rows: neither triggers nor foreign keys are asked while they are copied in.
pub fn orders() -> String {
    format!(
        "set session_replication_role = replica;
         insert into sites (id, code, name, host_names, currency, time_zone, created_at)
         select ('{LIST_SITE_PREFIX}' || lpad(n::text, 12, '0'))::uuid, 'LIST' || n, 'List', '{{}}', 'USD', 'UTC', '2026-01-01'
         from generate_series(1, {LIST_SITES}) n;
         insert into orders (site_id, id, number, kind, buyer_id, lifecycle, payment, delivery, currency, subtotal, total, chain,
                             wallet_address, placed_at, expires_at)
         select ('{LIST_SITE_PREFIX}' || lpad(s::text, 12, '0'))::uuid,
                (lpad(to_hex(1780000000000 + n::bigint * 1000), 12, '0') || '7' || substr(md5(s || ':' || n), 1, 19))::uuid,
                'L-' || n, 'token', '{BUYER}', (array['placed', 'confirmed', 'fulfilled', 'expired'])[1 + n % 4],
                (array['unpaid', 'paid', 'paid', 'unpaid'])[1 + n % 4], 'none', 'USD', 10000, 10000, 'POLYGON',
                '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed', '2026-01-01', '2026-01-01'
         from generate_series(1, {ORDERS_PER_LIST_SITE}) n, generate_series(1, {LIST_SITES}) s;
         set session_replication_role = origin;
         vacuum analyze orders;"
    )
}

/// Makes the first buyer a viewer of every list site.
pub fn viewer() -> String {
    "set session_replication_role = replica;
         insert into parties (site_id, id, identity_id, referral_code, created_at)
         select s.id, s.id, i.id, s.code || '-AAAAAA', '2026-01-01'
         from sites s, identities i where s.code like 'LIST%' and i.subject = 'bench|0';
         insert into memberships (site_id, identity_id, party_id, role, created_at)
         select p.site_id, p.identity_id, p.id, 'viewer', '2026-01-01' from parties p join sites s on s.id = p.site_id
         where s.code like 'LIST%';"
        .to_owned()
}
