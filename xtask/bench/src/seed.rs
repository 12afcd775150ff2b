//! What is there before anything is measured: put in by psql, as superuser, because a million rows are not placed one by one.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

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

pub const WALLET: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

pub fn tier_id(number: u64) -> String {
    format!("tier_{}{number:012}", TIER_PREFIX.replace('-', ""))
}

#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error("psql could not be run")]
    Run(#[from] std::io::Error),
    #[error("psql failed: {0}")]
    Failed(String),
}

pub fn psql(bindir: &Path, url: &str, sql: &str) -> Result<String, SeedError> {
    let mut child = Command::new(bindir.join("psql"))
        .args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
            url,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(sql.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(SeedError::Failed(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ))
    }
}

/// One site with its tiers, all with more units than any run sells.
pub fn tiers() -> String {
    format!(
        "insert into sites (id, code, name, host_names, currency, time_zone, created_at)
         values ('{SITE}', 'BENCH', 'Bench', '{{}}', 'USD', 'UTC', '2026-01-01');
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
