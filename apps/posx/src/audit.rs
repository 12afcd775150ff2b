//! `posx audit isolation`.

use posx_postgres::audit_isolation;
use secrecy::ExposeSecret as _;

use crate::cli::Reading;
use crate::failure::{CommandError, Outcome};
use crate::ui;

pub async fn isolation(arguments: &Reading) -> Result<Outcome, CommandError> {
    let settings = arguments.config.load()?;
    let report = audit_isolation(settings.database.app_url.expose_secret())
        .await
        .map_err(|source| CommandError::Database {
            role: "posx_app",
            source,
        })?;
    if arguments.json {
        ui::json(&report);
    } else {
        ui::line(&format!(
            "{} tables of sites, {} other tables and {} functions were looked at",
            report.site_tables, report.other_tables, report.functions
        ));
        for finding in &report.findings {
            ui::bad(&format!(
                "{}: {} ({})",
                finding.object, finding.problem, finding.check
            ));
        }
        if report.findings.is_empty() {
            ui::good("no finding: no site reaches another's rows");
        }
    }
    Ok(Outcome::of(report.findings.is_empty()))
}
