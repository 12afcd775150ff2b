//! Payments as Stripe keeps them, as far as the gateway relies on it (S02–S05, S11–S15, S33).

use std::collections::HashMap;

use posx_kernel::Timestamp;
use serde_json::{Value, json};

use crate::server::{Answered, Seen};

#[derive(Default)]
pub struct Book {
    /// Oldest first.
    pub intents: Vec<Value>,
    pub refunds: Vec<Value>,
    /// Of the balance.
    pub lines: Vec<Value>,
    keys: HashMap<String, Stored>,
}

struct Stored {
    request: String,
    since: Timestamp,
    status: u16,
    body: Value,
}

type Outcome = Result<Value, (u16, Value)>;

impl Book {
    pub fn answer(&mut self, seen: &Seen, now: Timestamp) -> Answered {
        if let Some(stored) = self.stored(seen, now) {
            return stored;
        }
        let (status, body) = match self.run(seen, now) {
            Ok(body) => (200, body),
            Err(refused) => refused,
        };
        // What fails before the work begins is not stored.
        if status != 404 && body["error"]["code"] != "parameter_missing" {
            self.store(seen, now, status, &body);
        }
        Answered {
            status,
            body,
            replayed: false,
        }
    }

    /// A failure that is stored, with or without an effect behind it.
    pub fn fail(&mut self, seen: &Seen, now: Timestamp, after_effect: bool) -> Answered {
        if after_effect {
            self.run(seen, now).unwrap();
        }
        let body = json!({ "error": { "type": "api_error", "message": "Something went wrong." } });
        self.store(seen, now, 500, &body);
        Answered {
            status: 500,
            body,
            replayed: false,
        }
    }

    fn stored(&self, seen: &Seen, now: Timestamp) -> Option<Answered> {
        let stored = self.keys.get(seen.key()?)?;
        if now - stored.since >= chrono::TimeDelta::hours(24) {
            return None;
        }
        if stored.request != request(seen) {
            let error = json!({ "type": "idempotency_error", "message": "Keys … same parameters" });
            return Some(Answered {
                status: 400,
                body: json!({ "error": error }),
                replayed: false,
            });
        }
        Some(Answered {
            status: stored.status,
            body: stored.body.clone(),
            replayed: true,
        })
    }

    fn store(&mut self, seen: &Seen, now: Timestamp, status: u16, body: &Value) {
        if let Some(key) = seen.key() {
            let stored = Stored {
                request: request(seen),
                since: now,
                status,
                body: body.clone(),
            };
            self.keys.insert(key.to_owned(), stored);
        }
    }

    fn run(&mut self, seen: &Seen, now: Timestamp) -> Outcome {
        let parts: Vec<_> = seen.path.trim_matches('/').split('/').skip(1).collect();
        match (seen.is_post(), parts.as_slice()) {
            (true, ["payment_intents"]) => self.create_intent(seen, now),
            (true, ["payment_intents", id, "cancel"]) => self.cancel(id),
            (false, ["payment_intents"]) => Ok(list(&self.intents, seen)),
            (false, ["payment_intents", id]) => found(&mut self.intents, "payment_intent", id).cloned(),
            (false, ["balance_transactions"]) => Ok(list(&self.lines, seen)),
            (true, ["refunds"]) => self.create_refund(seen, now),
            (false, ["refunds"]) => Ok(list(&self.refunds, seen)),
            (false, ["refunds", id]) => found(&mut self.refunds, "refund", id).cloned(),
            _ => Err((404, error("unrecognized_url"))),
        }
    }

    fn create_intent(&mut self, seen: &Seen, now: Timestamp) -> Outcome {
        let (Some(amount), Some(currency)) = (seen.parameter("amount"), seen.parameter("currency")) else {
            return Err((400, error("parameter_missing")));
        };
        let id = format!("pi_{}", self.intents.len() + 1);
        let intent = json!({
            "id": id, "object": "payment_intent", "amount": amount.parse::<i64>().unwrap(), "amount_received": 0,
            "currency": currency, "status": "requires_payment_method", "client_secret": format!("{id}_secret_x"),
            "livemode": false, "metadata": metadata(seen), "created": now.timestamp(), "last_payment_error": null,
        });
        self.intents.push(intent.clone());
        Ok(intent)
    }

    fn cancel(&mut self, id: &str) -> Outcome {
        let intent = found(&mut self.intents, "payment_intent", id)?;
        match intent["status"].as_str().unwrap() {
            "succeeded" | "processing" | "canceled" => {
                let mut body = error("payment_intent_unexpected_state");
                body["error"]["payment_intent"] = intent.clone();
                Err((400, body))
            }
            _ => {
                intent["status"] = "canceled".into();
                Ok(intent.clone())
            }
        }
    }

    fn create_refund(&mut self, seen: &Seen, now: Timestamp) -> Outcome {
        let of = seen.parameter("payment_intent").unwrap();
        let amount: i64 = seen.parameter("amount").unwrap().parse().unwrap();
        let intent = found(&mut self.intents, "payment_intent", of)?.clone();
        let before = self
            .refunds
            .iter()
            .filter(|refund| refund["payment_intent"] == of);
        let refunded: i64 = before.map(|refund| refund["amount"].as_i64().unwrap()).sum();
        if refunded + amount > intent["amount_received"].as_i64().unwrap() {
            return Err((400, error("invalid_request_error")));
        }
        let refund = json!({
            "id": format!("re_{}", self.refunds.len() + 1), "object": "refund", "amount": amount,
            "currency": intent["currency"], "status": "succeeded", "payment_intent": of,
            "metadata": metadata(seen), "created": now.timestamp(),
        });
        self.refunds.push(refund.clone());
        Ok(refund)
    }

    /// What the buyer or the bank does.
    pub fn moves(&mut self, id: &str, status: &str) {
        let intent = found(&mut self.intents, "payment_intent", id).unwrap();
        intent["status"] = status.into();
        intent["last_payment_error"] = Value::Null;
        if status == "succeeded" {
            intent["amount_received"] = intent["amount"].clone();
        }
    }

    pub fn declines(&mut self, id: &str) {
        self.moves(id, "requires_payment_method");
        let intent = found(&mut self.intents, "payment_intent", id).unwrap();
        intent["last_payment_error"] = json!({
            "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
            "message": "Your card has insufficient funds.", "payment_method": { "card": { "last4": "9995" } },
        });
    }
}

fn request(seen: &Seen) -> String {
    format!("{} {:?}", seen.path, seen.form)
}

fn found<'a>(all: &'a mut [Value], what: &str, id: &str) -> Result<&'a mut Value, (u16, Value)> {
    let missing = json!({ "error": {
        "type": "invalid_request_error", "code": "resource_missing", "param": "id",
        "message": format!("No such {what}: '{id}'"),
    }});
    all.iter_mut()
        .find(|object| object["id"] == id)
        .ok_or((404, missing))
}

fn error(code: &str) -> Value {
    json!({ "error": { "type": "invalid_request_error", "code": code, "message": "No." } })
}

fn metadata(seen: &Seen) -> Value {
    let named = seen.form.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix("metadata[")?.strip_suffix(']')?;
        Some((name.to_owned(), value.clone().into()))
    });
    Value::Object(named.collect())
}

/// Newest first, by the filters that the gateway uses.
fn list(all: &[Value], seen: &Seen) -> Value {
    let bound = |name: &str| seen.parameter(name).map(|value| value.parse::<i64>().unwrap());
    let (from, to) = (bound("created[gte]"), bound("created[lte]"));
    let of = seen.parameter("payment_intent");
    let fits = |object: &&Value| {
        let created = object["created"].as_i64().unwrap();
        from.is_none_or(|from| created >= from)
            && to.is_none_or(|to| created <= to)
            && of.is_none_or(|of| object["payment_intent"] == of)
    };
    let mut rest: Vec<_> = all.iter().rev().filter(fits).collect();
    if let Some(after) = seen.parameter("starting_after") {
        let at = rest.iter().position(|object| object["id"] == after).unwrap();
        rest.drain(..=at);
    }
    let limit = usize::try_from(bound("limit").unwrap_or(10)).unwrap();
    let data: Vec<_> = rest.iter().take(limit).collect();
    json!({ "object": "list", "data": data, "has_more": rest.len() > limit, "url": seen.path })
}
