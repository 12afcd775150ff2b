use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::{post, put};
use axum::{Json, Router};
use posx_kernel::Randomness;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Body, IdPath, Nothing, Rotation, id, within};
use super::error::PanelError;
use super::{line, notices};
use crate::custodian::{Custodian, Drive, EVENT_KINDS, End, SandboxTransfer, TransferStatus};

/// The newest transfers are shown, so many.
const SHOWN_MAX: usize = 100;
const ENDS_MAX: usize = 1_000;
const STEP_MS_MAX: u64 = 600_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndNow {
    end: End,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndNext {
    end: End,
    transfers: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDrive {
    drive: DriveWord,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum DriveWord {
    Manual,
    /// From step to step.
    AutomaticMs(u64),
}

type Shown = Result<Json<Value>, PanelError>;

pub(super) fn router(custodian: &Custodian, randomness: &Arc<dyn Randomness>) -> Router {
    Router::new()
        .route("/ends", post(end_next))
        .route("/transfers/{external_id}/end", post(end))
        .route("/transfers/{external_id}/advance", post(advance))
        .route("/drive", put(drive))
        .route("/keys/rotate", post(rotate))
        .with_state(custodian.clone())
        .merge(line::router(custodian.line().clone()))
        .merge(notices::router(custodian.webhooks(), &EVENT_KINDS, randomness))
}

pub(super) fn show(custodian: &Custodian) -> Value {
    let mut transfers = custodian.transfers();
    transfers.sort_by_key(|transfer| std::cmp::Reverse(transfer.created_at));
    json!({
        "line": line::show(custodian.line()),
        "keys": custodian.key_ids(),
        "drive": show_drive(custodian.drive()),
        "ends": custodian.planned_ends(),
        "deliveries": notices::show_deliveries(custodian.webhooks()),
        "notices": notices::show_notices(custodian.webhooks()),
        "transfers": transfers.iter().take(SHOWN_MAX).map(show_transfer).collect::<Vec<_>>(),
    })
}

fn show_transfer(transfer: &SandboxTransfer) -> Value {
    json!({
        "external_id": transfer.external_id,
        "status": transfer.status.as_str(),
        "sub_status": transfer.sub_status,
        "tx_hash": transfer.tx_hash,
        "asset": transfer.asset,
        "amount": transfer.amount,
        "to": transfer.to,
    })
}

fn show_drive(drive: Drive) -> Value {
    match drive {
        Drive::Manual => "manual".into(),
        Drive::Automatic { step } => json!({ "automatic_ms": step.as_millis() }),
    }
}

async fn end_next(State(custodian): State<Custodian>, Body(body): Body<EndNext>) -> Shown {
    within("transfers", body.transfers, 1..=ENDS_MAX)?;
    let planned = custodian.planned_ends().len();
    if planned + body.transfers > ENDS_MAX {
        let message = format!("{planned} ends are planned, of at most {ENDS_MAX}");
        return Err(PanelError::field("transfers", message));
    }
    custodian.end_next(body.end, body.transfers);
    Ok(Json(json!({ "ends": custodian.planned_ends() })))
}

async fn end(
    State(custodian): State<Custodian>,
    transfer: IdPath,
    Body(EndNow { end }): Body<EndNow>,
) -> Shown {
    on_transfer(&custodian, transfer, |id| custodian.end(id, end))
}

async fn advance(
    State(custodian): State<Custodian>,
    transfer: IdPath,
    Body(Nothing {}): Body<Nothing>,
) -> Shown {
    on_transfer(&custodian, transfer, |id| custodian.advance(id))
}

async fn drive(State(custodian): State<Custodian>, Body(NewDrive { drive }): Body<NewDrive>) -> Shown {
    let drive = match drive {
        DriveWord::Manual => Drive::Manual,
        DriveWord::AutomaticMs(step) => Drive::Automatic {
            step: Duration::from_millis(within("drive.automatic_ms", step, 1..=STEP_MS_MAX)?),
        },
    };
    custodian.set_drive(drive);
    Ok(Json(json!({ "drive": show_drive(drive) })))
}

async fn rotate(State(custodian): State<Custodian>, Body(rotation): Body<Rotation>) -> Shown {
    let old = rotation.checked(custodian.key_ids().len())?;
    custodian.rotate_key(old).await?;
    Ok(Json(json!({ "keys": custodian.key_ids() })))
}

fn on_transfer(
    custodian: &Custodian,
    path: IdPath,
    act: impl FnOnce(&str) -> Option<TransferStatus>,
) -> Shown {
    let id = id(path)?;
    let changed = act(&id).is_some();
    let transfer = custodian
        .transfer(&id)
        .ok_or(PanelError::NotFound { what: "transfer" })?;
    if changed {
        Ok(Json(show_transfer(&transfer)))
    } else {
        let status = transfer.status.as_str();
        Err(PanelError::Conflict(format!(
            "a transfer that is {status} cannot do this"
        )))
    }
}
