use rowhouse_kernel::settings::MailSettings;

use super::{Purpose, judge, records};

fn settings() -> MailSettings {
    MailSettings {
        from: "Shop <shop@shop.example>".to_owned(),
        return_path: Some("bounce@mail.shop.example".to_owned()),
        dkim_domain: Some("shop.example".to_owned()),
        dkim_key: Some(crate::dkim::tests::ed25519()),
        ..MailSettings::default()
    }
}

#[test]
fn every_record_has_its_name() {
    let records = records(&settings()).unwrap();
    let names: Vec<_> =
        records.iter().map(|record| (record.purpose, record.kind, record.name.as_str())).collect();
    assert_eq!(
        names,
        [
            (Purpose::Dkim, "TXT", "rowhouse._domainkey.shop.example"),
            (Purpose::Spf, "TXT", "mail.shop.example"),
            (Purpose::Dmarc, "TXT", "_dmarc.shop.example"),
            (Purpose::Bounces, "MX", "mail.shop.example"),
        ]
    );
}

#[test]
fn answers_are_judged_and_no_answer_is_a_failure() {
    let all = records(&settings()).unwrap();
    let dkim = all[0].value.as_str();
    let split = dkim.replace("; p=", ";   p=");
    for (index, answers, is_good) in [
        (0, &[dkim][..], true),
        (0, &[split.as_str()], true),
        (0, &["v=DKIM1; k=ed25519; p=other"], false),
        (0, &[dkim, dkim], false),
        (0, &[], false),
        (1, &["v=spf1 include:x ~all", "something else"], true),
        (1, &["v=spf10 nonsense"], false),
        (1, &["v=spf1 a", "v=spf1 mx"], false),
        (2, &["v=DMARC1; p=none"], true),
        (2, &[], false),
        (3, &["10 mx.shop.example."], true),
        (3, &[], false),
    ] {
        let answers = answers.iter().map(|answer| (*answer).to_owned()).collect::<Vec<_>>();
        let finding = judge(&all[index], &Ok(answers.clone()));
        assert_eq!(finding.is_good, is_good, "{answers:?}: {}", finding.says);
    }
    assert!(!judge(&all[1], &Err("time-out".to_owned())).is_good);
}
