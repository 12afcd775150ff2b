//! The database, as each role that is configured.

use std::sync::Arc;

use posx_kernel::{Clock as _, SystemClock, SystemIds};
use posx_postgres::{
    Database, DatabaseOptions, JobsDatabase, PlatformDatabase, Posture, audit_isolation, check_migrator,
};
use posx_runtime::Settings;
use posx_tenancy::{PlatformDirectory as _, Staff};
use secrecy::ExposeSecret as _;

use super::Report;
use crate::failure::chain;

/// Tokens have 30 seconds of leeway, and jobs come due by the database's clock.
const SKEW_MS_MAX: i64 = 2_000;

pub(super) async fn look(report: &mut Report, settings: &Settings) {
    report.section("database");
    app(report, settings).await;
    jobs(report, settings).await;
    platform(report, settings).await;
    migrator(report, settings).await;
}

async fn app(report: &mut Report, settings: &Settings) {
    let url = settings.database.app_url.expose_secret();
    let options = DatabaseOptions {
        pool_size: 1,
        ..DatabaseOptions::default()
    };
    let database = match Database::connect(url, options).await {
        Ok(database) => database,
        Err(error) => {
            return report.fault(
                "database as posx_app",
                chain(&error),
                "start PostgreSQL, check database.app_url, or make the roles: posx migrate --superuser-url URL",
            );
        }
    };
    report.ok("database as posx_app", "answers");
    let posture = database.posture().await.map_err(|error| chain(&error));
    report.judge(
        "role",
        posture.and_then(|posture| sound(&posture)),
        "let database.app_url name the role posx_app, as posx migrate --superuser-url makes it",
    );
    let pending = match database.pending_migrations().await {
        Ok(0) => Ok("none is pending".to_owned()),
        Ok(pending) => Err(format!("{pending} of this version are not in the database")),
        Err(error) => Err(chain(&error)),
    };
    report.judge("migrations", pending, "posx migrate");
    let audit = match audit_isolation(url).await {
        Ok(audit) if audit.findings.is_empty() => {
            Ok(format!("{} tables of sites, no finding", audit.site_tables))
        }
        Ok(audit) => Err(format!("{} finding(s)", audit.findings.len())),
        Err(error) => Err(chain(&error)),
    };
    report.judge("isolation", audit, "posx audit isolation");
    clock(report, &database).await;
    database.close().await;
}

fn sound(posture: &Posture) -> Result<String, String> {
    if posture.is_sound() {
        Ok("row-level security applies to it".to_owned())
    } else {
        Err(posture.problems.join("; "))
    }
}

async fn clock(report: &mut Report, database: &Database) {
    let before = SystemClock.now();
    let skew = database.server_clock().await.map(|server| {
        let after = SystemClock.now();
        // Half of the way there and back is on the way back.
        (server - (before + (after - before) / 2)).num_milliseconds()
    });
    let says = match skew {
        Ok(skew) if skew.abs() <= SKEW_MS_MAX => Ok(format!("database and machine differ by {skew} ms")),
        Ok(skew) => Err(format!("database and machine differ by {skew} ms")),
        Err(error) => Err(chain(&error)),
    };
    report.judge("clock", says, "let both machines keep time by NTP");
}

async fn jobs(report: &mut Report, settings: &Settings) {
    let jobs = JobsDatabase::connect(settings.database.jobs_url.expose_secret(), 1).await;
    let jobs = jobs.map(|_| "answers".to_owned()).map_err(|error| chain(&error));
    report.judge(
        "database as posx_jobs",
        jobs,
        "check database.jobs_url, or make the roles: posx migrate --superuser-url URL",
    );
}

async fn platform(report: &mut Report, settings: &Settings) {
    let Some(url) = &settings.database.platform_url else {
        return report.ok(
            "database as posx_platform",
            "not configured: posx site, posx member, posx platform and the platform plane need it",
        );
    };
    let (clock, ids) = (Arc::new(SystemClock), Arc::new(SystemIds));
    let platform = match PlatformDatabase::connect(url.expose_secret(), clock, ids).await {
        Ok(platform) => platform,
        Err(error) => {
            return report.fault(
                "database as posx_platform",
                chain(&error),
                "check database.platform_url, or make the roles: posx migrate --superuser-url URL",
            );
        }
    };
    report.ok("database as posx_platform", "answers");
    let posture = platform.posture().await.map_err(|error| chain(&error));
    report.judge(
        "role of the platform plane",
        posture.and_then(|posture| sound(&posture)),
        "let database.platform_url name the role posx_platform, as posx migrate --superuser-url makes it",
    );
    if settings.platform.is_some() {
        staff(report, &platform).await;
    }
    platform.close().await;
}

/// A plane that is served and that nobody may use.
async fn staff(report: &mut Report, platform: &PlatformDatabase) {
    let says = match platform.staff().await {
        Ok(staff) if staff.iter().any(Staff::is_active_admin) => Ok("the platform has an admin".to_owned()),
        Ok(_) => Err("nobody is admin of the platform".to_owned()),
        Err(error) => Err(chain(&error)),
    };
    report.judge("platform staff", says, "posx migrate, then posx platform appoint");
}

async fn migrator(report: &mut Report, settings: &Settings) {
    let Some(url) = &settings.database.migrator_url else {
        return report.ok(
            "database as posx_migrator",
            "not configured: posx migrate needs it",
        );
    };
    let says = match check_migrator(url.expose_secret()).await {
        Ok(()) => Ok("answers, and may become the owner".to_owned()),
        Err(error) => Err(chain(&error)),
    };
    report.judge(
        "database as posx_migrator",
        says,
        "check database.migrator_url, or make the roles: posx migrate --superuser-url URL",
    );
}
