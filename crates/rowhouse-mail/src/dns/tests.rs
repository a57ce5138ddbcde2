use crate::settings::MailSettings;

use super::{Purpose, RecordState, judge, notes, records};

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
fn answers_are_judged_and_a_missing_answer_is_unknown() {
    use RecordState::{Good, Missing, Unknown, Wrong};
    let all = records(&settings()).unwrap();
    let dkim = all[0].value.as_str();
    let split = dkim.replace("; p=", ";   p=");
    for (index, answers, state) in [
        (0, &[dkim][..], Good),
        (0, &[split.as_str()], Good),
        (0, &["v=DKIM1; k=ed25519; p=other"], Wrong),
        (0, &["v=DKIM1; p="], Wrong),
        (0, &[dkim, dkim], Wrong),
        (0, &[], Missing),
        (1, &["v=spf1 include:x ~all", "something else"], Good),
        (1, &["v=spf1 redirect=_spf.x.example"], Good),
        (1, &["v=spf1 -all"], Wrong),
        (1, &["v=spf10 nonsense"], Missing),
        (1, &["v=spf1 a", "v=spf1 mx"], Wrong),
        (2, &["v=DMARC1; p=none"], Good),
        (2, &["v=DMARC1; rua=mailto:x@y.example"], Wrong),
        (2, &[], Missing),
        (3, &["10 mx.shop.example."], Good),
        (3, &["0 ."], Wrong),
        (3, &[], Missing),
    ] {
        let answers = answers.iter().map(|answer| (*answer).to_owned()).collect::<Vec<_>>();
        let finding = judge(&all[index], &Ok(answers.clone()));
        assert_eq!(finding.state, state, "{answers:?}: {}", finding.says);
    }
    assert_eq!(judge(&all[1], &Err("time-out".to_owned())).state, Unknown);
}

#[test]
fn domain_that_cannot_publish_records_is_refused() {
    for from in ["Rowhouse <noreply@localhost>", "x@[127.0.0.1]"] {
        let settings = MailSettings { from: from.to_owned(), ..MailSettings::default() };
        assert!(records(&settings).unwrap_err().to_string().starts_with("mail.from: "), "{from}");
    }
}

#[test]
fn missing_or_foreign_signature_is_noted() {
    assert_eq!(notes(&settings()), Vec::<String>::new());
    let kin = |domain: &str| MailSettings { dkim_domain: Some(domain.to_owned()), ..settings() };
    assert_eq!(notes(&kin("mail.shop.example")), Vec::<String>::new());
    assert!(notes(&kin("hop.example"))[0].contains("DMARC"));
    assert!(notes(&MailSettings { dkim_domain: None, ..settings() })[0].contains("not signed"));
}
