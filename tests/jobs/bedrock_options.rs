//! What batches at Bedrock need of a target, judged where it is given.

use std::collections::BTreeMap;

use ferrogw::config::{Env, Text};
use ferrogw::providers::settings::Settings;
use ferrogw::providers::spec::Root;
use ferrogw::providers::table;

#[test]
fn buckets_roles_and_addresses_that_are_none_are_refused_by_the_option() {
    let spec = table::find("bedrock").unwrap();
    let Root::By(place) = spec.root else { panic!("its address follows from its settings") };
    let judged = |name: &str, value: &str| {
        let region = ("region".to_owned(), Text::from("us-east-1"));
        let given = BTreeMap::from([(name.to_owned(), Text::from(value)), region]);
        let settings = Settings::resolve(spec, &given, &Env::default()).unwrap();
        place(&settings).map(|_| ()).map_err(|invalid| invalid.to_string())
    };
    for (name, fine) in [
        ("batch_bucket", "s3://my.bucket-1/a/b_c/"),
        ("batch_role", "arn:aws:iam::111122223333:role/Batch"),
        ("batch_role", "arn:aws-cn:iam::111122223333:role/service/Batch"),
        ("s3_endpoint", "http://127.0.0.1:9000"),
    ] {
        assert_eq!(judged(name, fine), Ok(()), "{fine}");
    }
    for (name, wrong, mend) in [
        ("batch_bucket", "bucket/prefix", "s3://"),
        ("batch_bucket", "s3://Bucket", "s3://bucket/prefix"),
        ("batch_bucket", "s3://bucket/a b", "A-Z"),
        ("batch_role", "Batch", "arn:aws:iam::111122223333:role/Batch"),
        ("batch_role", "arn:aws:iam::1:role/Batch", "arn:aws:iam::111122223333:role/Batch"),
        ("batch_role", "arn:aws:iam::111122223333:user/Batch", "arn:aws:iam::111122223333:role/Batch"),
        ("s3_endpoint", "localhost:9000", "https://"),
    ] {
        let why = judged(name, wrong).unwrap_err();
        assert!(why.contains(&format!("options.{name}")) && why.contains(mend), "{why}");
    }
}
