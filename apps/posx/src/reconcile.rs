//! `posx reconcile`.

use std::sync::Arc;

use posx_kernel::SystemClock;
use posx_ledger::reconcile::{Difference, DifferenceView, ReconcileError, Reconciled, ReconciliationView};
use posx_runtime::Services;
use posx_tenancy::{PlatformError, Site, SiteCode};
use posx_worker::reconcile_day;
use serde::Serialize;

use crate::cli::ReconcileArguments;
use crate::failure::{CommandError, Outcome};
use crate::ui;

/// One site's run as JSON.
#[derive(Debug, Serialize)]
struct Report {
    site: String,
    #[serde(flatten)]
    run: ReconciliationView,
    differences: Vec<DifferenceView>,
}

pub async fn run(arguments: ReconcileArguments) -> Result<Outcome, CommandError> {
    let settings = arguments.reading.config.load()?;
    let services = Services::connect(&settings, Arc::new(SystemClock)).await?;
    let outcome = reconcile(&services, &arguments).await;
    services.close().await;
    outcome
}

/// Every site, also when one before it cannot be compared: what failed is said, and is the end's status.
async fn reconcile(services: &Services, arguments: &ReconcileArguments) -> Result<Outcome, CommandError> {
    let (mut reports, mut failed) = (Vec::new(), None);
    for site in sites(services, arguments.site.as_deref()).await? {
        match reconcile_day(services, &site, arguments.provider, arguments.day).await {
            Ok(reconciled) => {
                if !arguments.reading.json {
                    show(&site, &reconciled);
                }
                reports.push(Report {
                    site: site.code.to_string(),
                    run: ReconciliationView::from(&reconciled.run),
                    differences: reconciled.differences.iter().map(DifferenceView::from).collect(),
                });
            }
            // Of all sites, one without an account has nothing to compare.
            Err(ReconcileError::NoAccount) if arguments.site.is_none() => {}
            Err(source) => {
                let error = CommandError::Reconcile {
                    site: site.code.to_string(),
                    source,
                };
                if let Some(earlier) = failed.replace(error) {
                    ui::error(&crate::failure::chain(&earlier));
                }
            }
        }
    }
    if arguments.reading.json {
        ui::json(&reports);
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(Outcome::of(
            reports.iter().all(|report| report.run.unexplained == 0),
        )),
    }
}

pub async fn sites(services: &Services, code: Option<&str>) -> Result<Vec<Site>, CommandError> {
    let asked = |role| move |source| CommandError::Database { role, source };
    if let Some(code) = code {
        let code = SiteCode::new(code).ok_or(PlatformError::Code)?;
        let found = services
            .directory
            .site_by_code(&code)
            .await
            .map_err(asked("posx_app"))?;
        return Ok(vec![found.ok_or(PlatformError::Unknown)?]);
    }
    let active = services
        .jobs_database
        .active_sites()
        .await
        .map_err(asked("posx_jobs"))?;
    let mut sites = Vec::with_capacity(active.len());
    for id in active {
        sites.extend(services.directory.site(id).await.map_err(asked("posx_app"))?);
    }
    Ok(sites)
}

fn show(site: &Site, reconciled: &Reconciled) {
    let run = &reconciled.run;
    ui::heading(&format!(
        "{} · {} · {}",
        site.code,
        run.provider.as_str(),
        run.day
    ));
    ui::note(&format!(
        "{} lines, {} entries; {} matched, {} booked",
        run.lines, run.entries, run.matched, run.booked
    ));
    if run.unexplained > 0 {
        ui::bad(&format!("{} differences have to be looked at", run.unexplained));
    } else {
        ui::good("nothing is unexplained");
    }
    if !reconciled.differences.is_empty() {
        let header = ["why", "what", "about", "there", "at", "here", "posted"];
        ui::table(header, reconciled.differences.iter().map(row).collect());
    }
}

fn row(difference: &Difference) -> Vec<String> {
    let (line, entry) = (difference.line.as_ref(), difference.entry.as_ref());
    let text = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let movement = line
        .map(|line| line.movement)
        .or(entry.map(|entry| entry.movement));
    let reference = line.map(|line| line.reference.clone());
    vec![
        difference.reason.as_str().to_owned(),
        text(movement.map(|movement| movement.as_str().to_owned())),
        text(reference.or_else(|| entry.and_then(|entry| entry.reference.clone()))),
        text(line.map(|line| format!("{} {}", line.moved.signed(), line.moved.unit))),
        text(line.map(|line| line.at.to_rfc3339())),
        text(entry.map(|entry| format!("{} {}", entry.moved.signed(), entry.moved.unit))),
        text(entry.map(|entry| entry.at.to_rfc3339())),
    ]
}
