//! Expected are the signatures of botocore for the same requests, with the key that Amazon's examples use.

use rowhouse_kernel::Secret;
use time::macros::datetime;

use super::{Request, Signer};

fn signature(request: &Request<'_>) -> String {
    let signer = Signer {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        region: "us-east-1".to_owned(),
    };
    let [.., (_, authorization)] = signer.sign(request, datetime!(2013-05-24 00:00 UTC));
    authorization.rsplit_once("Signature=").map(|(_, signature)| signature.to_owned()).unwrap_or_default()
}

#[test]
fn listing_is_signed_with_its_query() {
    let query = "list-type=2&prefix=backups%2F";
    let host = "examplebucket.s3.amazonaws.com";
    let request = Request { method: "GET", host, path: "/", query, body: b"" };
    let expected = "13df4a8e7eb24922a0b08de4dd83cbfadc98a0a3f635094948864739727a6cf8";
    assert_eq!(signature(&request), expected);
}

#[test]
fn object_is_signed_with_its_content_and_port() {
    let (host, path) = ("127.0.0.1:9000", "/bucket/wal/1/00000001/key.json");
    let request = Request { method: "PUT", host, path, query: "", body: b"Welcome to Amazon S3." };
    let expected = "5315a71a69cbee368274cee6faf1dee809919a3da9e52bf76cb433efdfb99622";
    assert_eq!(signature(&request), expected);
    assert_ne!(signature(&Request { body: b"Welcome to Amazon S4.", ..request }), expected);
}
