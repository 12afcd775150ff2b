//! One webhook notification,
//! <https://developers.fireblocks.com/reference/webhook-notification-structure>, and what we take from it.

use chrono::DateTime;
use posx_kernel::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::status::{SubStatus, TransactionStatus};

/// Longest id, type or hash that is stored.
const TEXT_BYTES_MAX: usize = 255;
/// The vendor's page says seconds and its examples have milliseconds. As seconds this number is the year 5138, as
/// milliseconds 1973.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// One event. It may come twice and out of order: the id tells a repetition, and a transaction's state moves only
/// forward, whatever comes last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FireblocksEvent {
    /// The key that makes a second delivery have no effect.
    pub id: String,
    /// `eventType` as it came: `transaction.status.updated`.
    pub kind: String,
    /// The object that changed; for a transaction its id.
    pub resource_id: Option<String>,
    pub workspace_id: Option<String>,
    pub created_at: Timestamp,
    /// For `transaction.*` events.
    pub transaction: Option<TransactionView>,
}

/// A transaction as the event shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionView {
    pub id: String,
    pub status: TransactionStatus,
    pub sub_status: Option<SubStatus>,
    /// Ours, and the only thing that says whose transaction this is. Absent on what was not made through the API.
    pub external_tx_id: Option<String>,
    /// Also a failed transaction has one, once it was broadcast.
    pub tx_hash: Option<String>,
    pub confirmations: Option<u64>,
    pub asset_id: Option<String>,
    pub block_height: Option<String>,
    pub block_hash: Option<String>,
    pub created_at: Option<Timestamp>,
    pub last_updated: Option<Timestamp>,
}

/// A signed body that is no notification. An unknown type or status is none of these: it parses.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    #[error("the notification is not JSON of the expected shape")]
    Shape(#[source] serde_json::Error),
    #[error("the notification's `{0}` cannot be used")]
    Field(&'static str),
}

impl FireblocksEvent {
    /// Reads a body that has been verified, now or before it was stored.
    pub fn parse(body: &[u8]) -> Result<Self, EventError> {
        let notification: Notification = serde_json::from_slice(body).map_err(EventError::Shape)?;
        let kind = usable(notification.event_type, "eventType")?;
        let transaction = match notification.data {
            Some(data) if kind.starts_with("transaction.") => Some(TransactionView::from_data(data)?),
            _ => None,
        };
        Ok(Self {
            id: usable(notification.id, "id")?,
            kind,
            resource_id: usable_if_any(notification.resource_id, "resourceId")?,
            workspace_id: usable_if_any(notification.workspace_id, "workspaceId")?,
            created_at: instant(notification.created_at).ok_or(EventError::Field("createdAt"))?,
            transaction,
        })
    }
}

impl TransactionView {
    pub(crate) fn from_data(data: Value) -> Result<Self, EventError> {
        let data: Transaction = serde_json::from_value(data).map_err(EventError::Shape)?;
        let block = data.block_info.unwrap_or_default();
        Ok(Self {
            id: usable(data.id, "data.id")?,
            status: TransactionStatus::from_name(&usable(data.status, "data.status")?),
            sub_status: usable_if_any(data.sub_status, "data.subStatus")?.map(SubStatus),
            external_tx_id: usable_if_any(data.external_tx_id, "data.externalTxId")?,
            tx_hash: usable_if_any(data.tx_hash, "data.txHash")?,
            confirmations: data.num_of_confirmations,
            asset_id: usable_if_any(data.asset_id, "data.assetId")?,
            block_height: usable_if_any(block.block_height, "data.blockInfo.blockHeight")?,
            block_hash: usable_if_any(block.block_hash, "data.blockInfo.blockHash")?,
            created_at: data.created_at.and_then(instant),
            last_updated: data.last_updated.and_then(instant),
        })
    }
}

/// Ids, types and hashes go into keys and logs: visible ASCII, and not without end.
fn usable(text: String, field: &'static str) -> Result<String, EventError> {
    let fits = (1..=TEXT_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        Ok(text)
    } else {
        Err(EventError::Field(field))
    }
}

/// What is not there yet is left out, null, or an empty text.
fn usable_if_any(text: Option<String>, field: &'static str) -> Result<Option<String>, EventError> {
    text.filter(|text| !text.is_empty())
        .map(|text| usable(text, field))
        .transpose()
}

pub(crate) fn instant(number: i64) -> Option<Timestamp> {
    if number.abs() >= MILLISECONDS_FROM {
        return DateTime::from_timestamp_millis(number);
    }
    DateTime::from_timestamp(number, 0)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    id: String,
    event_type: String,
    resource_id: Option<String>,
    workspace_id: Option<String>,
    created_at: i64,
    data: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transaction {
    id: String,
    status: String,
    sub_status: Option<String>,
    external_tx_id: Option<String>,
    tx_hash: Option<String>,
    #[serde(default, deserialize_with = "count")]
    num_of_confirmations: Option<u64>,
    asset_id: Option<String>,
    block_info: Option<BlockInfo>,
    created_at: Option<i64>,
    last_updated: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockInfo {
    block_height: Option<String>,
    block_hash: Option<String>,
}

/// The specification calls it a number, and it is none below zero: -1 stands for "not known" elsewhere in the object.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = Option::<i64>::deserialize(deserializer)?;
    Ok(number.and_then(|number| u64::try_from(number).ok()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn updated() -> Value {
        json!({
            "id": "e-1", "eventType": "transaction.status.updated", "eventVersion": 1, "resourceId": "tx-1",
            "workspaceId": "w-1", "createdAt": 1_754_229_343_763_i64,
            "data": {
                "id": "tx-1", "status": "CONFIRMING", "subStatus": "PENDING_BLOCKCHAIN_CONFIRMATIONS",
                "externalTxId": "alloc-1/1", "txHash": "0xabc", "numOfConfirmations": 3, "assetId": "XRP_TEST",
                "amount": 11, "createdAt": 1_754_229_343_505_i64, "lastUpdated": 1_754_229_343_600_i64,
                "blockInfo": {"blockHeight": "42", "blockHash": "0xdef"},
                "source": {"id": "0", "type": "VAULT_ACCOUNT"}, "signedBy": [],
            },
        })
    }

    fn with(path: &str, value: Value) -> Result<FireblocksEvent, EventError> {
        let mut event = updated();
        let (parent, name) = path.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[name] = value;
        FireblocksEvent::parse(event.to_string().as_bytes())
    }

    fn transaction_with(name: &str, value: Value) -> Result<TransactionView, EventError> {
        with(&format!("/data/{name}"), value).map(|event| event.transaction.unwrap())
    }

    #[test]
    fn a_transaction_event_tells_what_we_use() {
        let event = FireblocksEvent::parse(updated().to_string().as_bytes()).unwrap();
        let at = |milliseconds| DateTime::from_timestamp_millis(milliseconds).unwrap();
        assert_eq!(
            (event.id.as_str(), event.kind.as_str()),
            ("e-1", "transaction.status.updated")
        );
        assert_eq!(
            (event.resource_id.as_deref(), event.workspace_id.as_deref()),
            (Some("tx-1"), Some("w-1"))
        );
        assert_eq!(event.created_at, at(1_754_229_343_763));
        let expected = TransactionView {
            id: "tx-1".into(),
            status: TransactionStatus::Confirming,
            sub_status: Some(SubStatus("PENDING_BLOCKCHAIN_CONFIRMATIONS".into())),
            external_tx_id: Some("alloc-1/1".into()),
            tx_hash: Some("0xabc".into()),
            confirmations: Some(3),
            asset_id: Some("XRP_TEST".into()),
            block_height: Some("42".into()),
            block_hash: Some("0xdef".into()),
            created_at: Some(at(1_754_229_343_505)),
            last_updated: Some(at(1_754_229_343_600)),
        };
        assert_eq!(event.transaction, Some(expected));
    }

    #[test]
    fn f07_an_unknown_status_parses() {
        let transaction = transaction_with("status", json!("TELEPORTING")).unwrap();
        assert_eq!(
            transaction.status,
            TransactionStatus::Unknown("TELEPORTING".into())
        );
    }

    #[test]
    fn f24_an_event_of_another_kind_parses_without_a_transaction() {
        for kind in [
            "network_records.processing_completed",
            "vault_account.asset.added",
            "rocket.launched",
        ] {
            let event = with("/eventType", json!(kind)).unwrap();
            assert_eq!((event.kind.as_str(), event.transaction), (kind, None));
        }
        let mut bare = updated();
        bare.as_object_mut()
            .unwrap()
            .retain(|name, _| ["id", "eventType", "createdAt"].contains(&name.as_str()));
        assert_eq!(
            FireblocksEvent::parse(bare.to_string().as_bytes())
                .unwrap()
                .transaction,
            None
        );
    }

    #[test]
    fn what_is_not_there_yet_may_be_empty_null_or_left_out() {
        for nothing in [json!(""), json!(null)] {
            assert_eq!(transaction_with("txHash", nothing.clone()).unwrap().tx_hash, None);
            assert_eq!(
                transaction_with("subStatus", nothing.clone()).unwrap().sub_status,
                None
            );
            assert_eq!(
                transaction_with("externalTxId", nothing).unwrap().external_tx_id,
                None
            );
        }
        let only = transaction_with("blockInfo", json!({})).unwrap();
        assert_eq!((only.block_height, only.block_hash), (None, None));
        assert_eq!(
            transaction_with("numOfConfirmations", json!(-1))
                .unwrap()
                .confirmations,
            None
        );
    }

    #[test]
    fn a_time_is_in_seconds_or_milliseconds() {
        let seconds = with("/createdAt", json!(1_754_229_343)).unwrap().created_at;
        let milliseconds = with("/createdAt", json!(1_754_229_343_000_i64))
            .unwrap()
            .created_at;
        assert_eq!(seconds, milliseconds);
        assert!(matches!(
            with("/createdAt", json!(i64::MAX)),
            Err(EventError::Field("createdAt"))
        ));
    }

    #[test]
    fn an_id_that_could_not_be_a_key_is_refused() {
        for id in ["", "e 1", "e\u{0}", "é", &"e".repeat(256)] {
            assert!(
                matches!(with("/id", json!(id)), Err(EventError::Field("id"))),
                "{id:?}"
            );
        }
        assert!(matches!(
            transaction_with("id", json!("")),
            Err(EventError::Field("data.id"))
        ));
        assert!(matches!(
            transaction_with("status", json!(null)),
            Err(EventError::Shape(_))
        ));
        assert!(matches!(with("/data", json!([])), Err(EventError::Shape(_))));
    }

    #[test]
    fn f20_a_notification_of_the_first_version_is_none() {
        let first =
            json!({"type": "TRANSACTION_STATUS_UPDATED", "tenantId": "w-1", "timestamp": 1, "data": {}});
        assert!(matches!(
            FireblocksEvent::parse(first.to_string().as_bytes()),
            Err(EventError::Shape(_))
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_get_an_answer(body in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(FireblocksEvent::parse(&body).is_err());
        }
    }
}
