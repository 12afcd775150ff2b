//! Codes of wallets: their addresses, proofs and cooling-off.

use super::Row;

pub(super) const TABLE: &[Row] = &[
    (
        "wallet_missing",
        &[422],
        "There is no wallet address to deliver to.",
    ),
    (
        "wallet_checksum_invalid",
        &[422],
        "The wallet address has a typing mistake: its checksum does not hold.",
    ),
    (
        "wallet_chain_mismatch",
        &[422],
        "The wallet address is of another family of chains.",
    ),
    ("wallet_address_invalid", &[422], "The text is no wallet address."),
    (
        "wallet_address_burns",
        &[422],
        "Nobody can spend what is sent to this address.",
    ),
    (
        "wallet_taken",
        &[409],
        "Another buyer of the site has bound this wallet address.",
    ),
    (
        "wallet_proof_required",
        &[409],
        "The bound wallet is proven: only a proven one takes its place.",
    ),
    (
        "wallet_message_invalid",
        &[422],
        "The signed message does not follow EIP-4361.",
    ),
    (
        "wallet_message_domain_mismatch",
        &[422],
        "The signed message is for a page that is not the site's.",
    ),
    (
        "wallet_message_uri_mismatch",
        &[422],
        "The signed message's URI is not of its domain, or not https.",
    ),
    (
        "wallet_chain_not_allowed",
        &[422],
        "Wallets are not proven on this chain.",
    ),
    (
        "wallet_message_expired",
        &[422],
        "The signed message's time is over.",
    ),
    (
        "wallet_message_not_yet_valid",
        &[422],
        "The signed message's time has not come.",
    ),
    (
        "wallet_nonce_unknown",
        &[422],
        "The message's nonce was not given out here, to this caller, or was used, or is too old.",
    ),
    (
        "wallet_signature_invalid",
        &[422],
        "The signature is not the wallet's signature of this message.",
    ),
    (
        "wallet_contract_unsupported",
        &[422],
        "Signatures of contract wallets are not checked on this chain.",
    ),
    (
        "wallet_sign_in_off",
        &[404],
        "Signing in with a wallet is not switched on.",
    ),
    (
        "wallet_node_unavailable",
        &[503],
        "The node that a contract wallet is asked on cannot be reached now.",
    ),
    (
        "wallet_family_not_found",
        &[404],
        "There is no such family of chains.",
    ),
    (
        "wallet_cooling_off",
        &[409],
        "The wallet took another's place before the order was placed, and waits for its cooling-off time.",
    ),
    (
        "wallet_address_missing",
        &[409],
        "The order has no wallet address to deliver to.",
    ),
];
