//! What an event of a connected account is about, as far as POSX acts on it.

use super::StripeEvent;

/// It names the account that the event came from; what else it says of the account is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountNotice<'a> {
    /// It was changed, or cut off from us.
    Changed { account: &'a str },
    /// Money on its way from it to its owner's bank.
    BankPayout {
        account: &'a str,
        payout: &'a str,
        arrived: bool,
    },
}

impl<'a> AccountNotice<'a> {
    /// By what the event finds its site.
    pub const fn account(self) -> &'a str {
        match self {
            Self::Changed { account } | Self::BankPayout { account, .. } => account,
        }
    }
}

impl StripeEvent {
    /// `None` if it is of our own account, or about something else.
    pub fn of_connected_account(&self) -> Option<AccountNotice<'_>> {
        let account = self.account.as_deref()?;
        let kind = self.kind.strip_prefix("v1.").unwrap_or(&self.kind);
        let payout = |arrived| {
            let payout = self
                .object
                .id
                .as_deref()
                .filter(|_| self.object.kind == "payout")?;
            Some(AccountNotice::BankPayout {
                account,
                payout,
                arrived,
            })
        };
        match kind {
            "account.updated" | "account.application.deauthorized" => {
                Some(AccountNotice::Changed { account })
            }
            "payout.failed" => payout(false),
            "payout.paid" => payout(true),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(kind: &str, account: &Value, object: &Value) -> StripeEvent {
        let event = json!({
            "id": "evt_1", "object": "event", "type": kind, "created": 1_767_225_600, "livemode": false,
            "account": account, "data": { "object": object },
        });
        StripeEvent::parse(event.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn s47_an_event_of_a_connected_account_names_the_account_that_it_came_from() {
        let (ours, payout) = (json!("acct_1"), json!({ "id": "po_1", "object": "payout" }));
        // The object of a deauthorization is the application; of an update, the account as it says itself.
        for (kind, object) in [
            (
                "account.updated",
                json!({ "id": "acct_other", "object": "account" }),
            ),
            (
                "account.application.deauthorized",
                json!({ "id": "ca_1", "object": "application" }),
            ),
        ] {
            let event = event(kind, &ours, &object);
            let notice = event.of_connected_account();
            assert_eq!(
                notice,
                Some(AccountNotice::Changed { account: "acct_1" }),
                "{kind}"
            );
        }
        for (kind, arrived) in [("payout.failed", false), ("payout.paid", true)] {
            let event = event(kind, &ours, &payout);
            let expected = AccountNotice::BankPayout {
                account: "acct_1",
                payout: "po_1",
                arrived,
            };
            assert_eq!(event.of_connected_account(), Some(expected));
            assert_eq!(expected.account(), "acct_1");
        }
    }

    #[test]
    fn what_is_of_our_own_account_or_about_something_else_is_none() {
        let payout = json!({ "id": "po_1", "object": "payout" });
        for (kind, account, object) in [
            ("payout.failed", json!(null), payout.clone()),
            ("payout.created", json!("acct_1"), payout.clone()),
            ("payout.failed", json!("acct_1"), json!({ "object": "payout" })),
            (
                "payout.failed",
                json!("acct_1"),
                json!({ "id": "ch_1", "object": "charge" }),
            ),
        ] {
            assert_eq!(
                event(kind, &account, &object).of_connected_account(),
                None,
                "{kind}"
            );
        }
    }
}
