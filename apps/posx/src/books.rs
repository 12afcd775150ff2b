//! `posx books check`.

use std::sync::Arc;

use posx_kernel::SystemClock;
use posx_ledger::{Fault, Invariant};
use posx_runtime::Services;
use posx_worker::check_books;
use serde::Serialize;

use crate::cli::BooksCheckArguments;
use crate::failure::{CommandError, Outcome};
use crate::reconcile::sites;
use crate::ui;

/// What was found of one site.
#[derive(Debug, Serialize)]
struct Checked {
    site: String,
    invariants: usize,
    faults: Vec<Fault>,
}

pub async fn check(arguments: &BooksCheckArguments) -> Result<Outcome, CommandError> {
    let settings = arguments.reading.config.load()?;
    let services = Services::connect(&settings, Arc::new(SystemClock)).await?;
    let checked = check_sites(&services, arguments.site.as_deref()).await;
    services.close().await;
    let checked = checked?;
    let holds = checked.iter().all(|one| one.faults.is_empty());
    if arguments.reading.json {
        ui::json(&checked);
    } else {
        show(&checked);
    }
    Ok(Outcome::of(holds))
}

async fn check_sites(services: &Services, code: Option<&str>) -> Result<Vec<Checked>, CommandError> {
    let mut checked = Vec::new();
    for site in sites(services, code).await? {
        let faults = check_books(services, site.id).await;
        let faults = faults.map_err(|source| CommandError::Database {
            role: "posx_app",
            source,
        })?;
        checked.push(Checked {
            site: site.code.to_string(),
            invariants: Invariant::ALL.len(),
            faults,
        });
    }
    Ok(checked)
}

fn show(checked: &[Checked]) {
    for one in checked {
        if one.faults.is_empty() {
            ui::good(&format!("{}: all {} invariants hold", one.site, one.invariants));
            continue;
        }
        ui::bad(&format!("{}: {} faults", one.site, one.faults.len()));
        let row = |fault: &Fault| {
            let subject = fault
                .subject
                .map_or_else(String::new, |subject| subject.to_string());
            vec![fault.invariant.to_owned(), subject, fault.detail.clone()]
        };
        ui::table(
            ["invariant", "row", "what is wrong"],
            one.faults.iter().map(row).collect(),
        );
    }
}
