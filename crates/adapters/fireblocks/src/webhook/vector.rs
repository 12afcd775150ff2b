//! A delivery signed by another implementation: the Python package `cryptography` 48.0.0, with keys made for this test,
//! in the form that the vendor documents. One body, its signature, the key set of two keys, and the same body's
//! signature in the scheme of the first version.

pub(super) const BODY: &str = r#"{"id":"0b5a3c1e-7d0f-4a1b-9c55-2f6f1f6f9a01","eventType":"transaction.status.updated","eventVersion":1,"resourceId":"5f1a6a0e-1c9b-4f6e-8a55-0d2d3c4b5a66","workspaceId":"3c9f0e2a-6b1d-4d2c-8e7f-1a2b3c4d5e6f","createdAt":1767225600123,"data":{"id":"5f1a6a0e-1c9b-4f6e-8a55-0d2d3c4b5a66","status":"CONFIRMING","subStatus":"PENDING_BLOCKCHAIN_CONFIRMATIONS","externalTxId":"alloc-0001/1","txHash":"0x9f2c","numOfConfirmations":3,"note":"café ☃"}}"#;

pub(super) const SIGNATURE: &str = "eyJhbGciOiJSUzUxMiIsImtpZCI6IndlYmhvb2sta2V5LTEifQ..Mu8qpO7upRZA6saFQAYYV-DdQ_brswORIjfEck5FiLlNU8jDzfoZJJhhh4L4Eh8MCFHq0zc424ZIxEFecRCRj_-ChXmoAAXFSBiAjU8bLRLSz4qyQpbo4PRgjDV9KnLLjxW9ovpUiuH0GD7sugmwuZqfKqZqdqv1fnDssNnL3_P3AqmQX9vL9BAkprB7BDV1TByJhz-obJsbJJBVUBQ5z5GTuMFoQY1TwnlTOL_AtG7UfsbNw2Yh3FpUf16nloFlw1SJLXfZctCTOWPo-soO7r5iu1QZV-GXczBtXY3-hkxmkSgdbHJMQhAS39ac02mc3USaWlWuwuFjPA5ukZfJhw";

/// The beginning of `Fireblocks-Signature`.
pub(super) const FIRST_VERSION_SIGNATURE: &str = "Pwmxtb63A1wgO9s6TYJWPba9Jf1/NhQO1g2nEqQQFp8fZTMnuD9/SCYnsHgPwkb6Gee2pT/yYMzmuOxhyrOASx00tJEW8ckwcdTXgpaX4Rt63W6O71piFhA";

pub(super) const KEY_SET: &str = r#"{"keys": [{"kty": "RSA", "kid": "webhook-key-1", "use": "sig", "alg": "RS512", "n": "xjokVCmNWJZQ2ywDy3_KVH5a2o3pxTlc3Apf5dA1jkL1v-5V9PnqJnyyokZ8HSB0G4OgL9sb-f8VRiMDjOUZYlbVloISS3KWf7YerBYryREPU1nyP5Db9zdjgP6FMImG20T3oqI01t_lijrTiYCpxcRQDB5gGcsgifXv1ObeTVYoQqdmpD9x5elH6h3fP--vFo7ko7MQBYeorIZ0gM92peU8694KNpWVxi7ITd8CCH4gK8a5TocQb-k-hOPK_RXUB4SZEKT735vhAV6coFoTkPpKBnQBD1_zDoLZOKSGH6OtJbIbrzofYaIiqryHVkWKTjyk3QphgMLqFPujOZtXHQ", "e": "AQAB"}, {"kty": "RSA", "kid": "webhook-key-2", "use": "sig", "alg": "RS512", "n": "gYggmeq3xpg7eWZKbQXNiAZNctxAh8PruY3sKhkTUZF-Nr5DNbm9HqY3o4GVgtSVdSZDI6dYt0o_WMx6ZgXtqltO0iXXzgZpyl2zA6ga-Gx8C1O8EwtXIV3_NBPUcOR0EiYlIwv9Np06tFOaVWtR2Bda43v0CK4pcC770UTLghWdhsTuuOV_CVPR0vntaY08Y4MYCEm8h7sU1o2VZJFHv29JV0KWPQRk5KQqu4_Zak2v3lGHeoFIyK6LDPhDRdIOIhbUEQE2apDUbEz_kpxpSVsxvVTkwNfcoRPMgr0qsN1NpCOeu9UFRC5xrFj46_59uPB8iWnb3M4N4mxac2cFNQ", "e": "AQAB"}]}"#;
