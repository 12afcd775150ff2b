//! `posx platform …`: the platform's staff and their visits, on the plane's own database role. Who holds that role needs no
//! token: so the first of the staff is appointed.

use posx_kernel::{IdentityId, PageRequest};
use posx_tenancy::{GrantView, GrantWish, Platform, PlatformError, Staff};
use serde::Serialize;

use crate::cli::{GrantCommand, PlatformArguments, PlatformCommand};
use crate::failure::{CommandError, Outcome};
use crate::ui;

/// A staff member as JSON.
#[derive(Debug, Serialize)]
struct StaffRow<'a> {
    id: IdentityId,
    name: &'a str,
    role: &'static str,
    state: &'static str,
}

impl<'a> StaffRow<'a> {
    fn of(staff: &'a Staff) -> Self {
        Self {
            id: staff.identity,
            name: &staff.name,
            role: staff.role.as_str(),
            state: staff.state.as_str(),
        }
    }
}

pub async fn run(arguments: PlatformArguments) -> Result<Outcome, CommandError> {
    let config = &arguments.reading.config;
    let (platform, json) = (crate::site::platform(config).await?, arguments.reading.json);
    match arguments.command {
        PlatformCommand::Appoint(wish) => {
            let configured = config.load()?.platform.map(|plane| plane.issuer);
            let issuer = wish.issuer.or(configured);
            let issuer = issuer.ok_or(CommandError::SettingMissing("platform.issuer"))?;
            let staff = platform.appoint_staff(&issuer, &wish.subject, &wish.name, wish.role);
            one(&staff.await?, json);
        }
        PlatformCommand::List => list(
            &platform.directory().staff().await.map_err(PlatformError::from)?,
            json,
        ),
        PlatformCommand::Disable(staff) => one(&platform.disable_staff(staff.id).await?, json),
        PlatformCommand::Grant(command) => grant(&platform, command, json).await?,
    }
    Ok(Outcome::Done)
}

async fn grant(platform: &Platform, command: GrantCommand, json: bool) -> Result<(), PlatformError> {
    match command {
        GrantCommand::Open(wish) => {
            let asked = GrantWish {
                site: &wish.site,
                reason: &wish.reason,
                minutes: wish.minutes,
            };
            let grant = platform.open_grant(wish.staff, &asked).await?;
            if json {
                ui::json(
                    &serde_json::json!({ "id": grant.id, "staff_id": grant.staff, "until": grant.until }),
                );
            } else {
                ui::good(&format!(
                    "{} may look around in {} until {}",
                    grant.staff_name, wish.site, grant.until
                ));
            }
        }
        GrantCommand::End(wish) => {
            platform.end_grant(wish.staff, wish.grant).await?;
            if json {
                ui::json(&serde_json::json!({ "id": wish.grant }));
            } else {
                ui::good(&format!("{} has ended", wish.grant));
            }
        }
        GrantCommand::List(site) => {
            let site = platform.find(&site.code).await?;
            let latest = PageRequest::new(Some(PageRequest::LIMIT_MAX), None);
            grants(&platform.directory().grants(site.id, latest).await?.items, json);
        }
    }
    Ok(())
}

fn one(staff: &Staff, json: bool) {
    let row = StaffRow::of(staff);
    if json {
        ui::json(&row);
    } else {
        ui::good(&format!(
            "{} ({}) is {} and {}",
            row.name, row.id, row.role, row.state
        ));
    }
}

fn list(staff: &[Staff], json: bool) {
    let rows: Vec<_> = staff.iter().map(StaffRow::of).collect();
    if json {
        return ui::json(&rows);
    }
    let cells = |row: &StaffRow<'_>| {
        let own = [row.id.to_string().as_str(), row.name, row.role, row.state].map(str::to_owned);
        own.to_vec()
    };
    ui::table(["id", "name", "role", "state"], rows.iter().map(cells).collect());
}

/// The latest hundred.
fn grants(grants: &[GrantView], json: bool) {
    if json {
        return ui::json(grants);
    }
    let cells = |grant: &GrantView| {
        let ended = grant.ended_at.map(|at| at.to_string());
        vec![
            grant.id.to_string(),
            grant.staff_name.clone(),
            grant.opened_at.to_string(),
            grant.until.to_string(),
            ended.unwrap_or_default(),
            grant.reason.clone(),
        ]
    };
    ui::table(
        ["grant", "who", "from", "until", "ended", "reason"],
        grants.iter().map(cells).collect(),
    );
}
