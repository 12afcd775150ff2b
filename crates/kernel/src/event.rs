//! What one context tells the others, in the transaction of the fact.

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{StoreError, Timestamp};

/// Something that happened in a site. It is kept for ever as the history of its subject; where another context must
/// act on it, the adapter adds that context's job in the same transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// `order.paid`: subject and past participle.
    pub kind: &'static str,
    /// The order, allocation, … that it happened to.
    pub subject: Uuid,
    /// Facts a reader needs; ids and amounts, never personal data.
    pub payload: Value,
    pub at: Timestamp,
}

/// Where events go. Appending joins the open transaction: no commit, no event.
#[async_trait]
pub trait Outbox: Send {
    async fn append(&mut self, event: Event) -> Result<(), StoreError>;
}

/// What an edit changed: `{"name": ["before", "after"]}`, by the fields of two views of the same kind; for an event's
/// payload, under `changes`. What must not be kept stays out of the views.
pub fn changes(before: &impl Serialize, after: &impl Serialize) -> Value {
    let fields = |view: Result<Value, serde_json::Error>| match view {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let (before, mut after) = (
        fields(serde_json::to_value(before)),
        fields(serde_json::to_value(after)),
    );
    let mut changed = Map::new();
    for (name, old) in before {
        let new = after.remove(&name).unwrap_or(Value::Null);
        if old != new {
            changed.insert(name, Value::from(vec![old, new]));
        }
    }
    changed.extend(
        after
            .into_iter()
            .map(|(name, new)| (name, Value::from(vec![Value::Null, new]))),
    );
    Value::Object(changed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::changes;

    #[test]
    fn an_edit_shows_the_fields_that_differ() {
        let before = json!({ "name": "Early", "price": "1.00", "gone": 1 });
        let after = json!({ "name": "Early", "price": "2.00", "new": true });
        assert_eq!(
            changes(&before, &after),
            json!({ "price": ["1.00", "2.00"], "gone": [1, null], "new": [null, true] })
        );
        assert_eq!(changes(&before, &before), json!({}));
    }
}
