use rowhouse_kernel::Secret;

use super::{Lists, Unsubscription};
use crate::message::{NewMail, read_mailbox};

fn lists() -> Lists {
    Lists::new(&Secret::new("secret"), "https://app.example/")
}

fn news(to: &str) -> NewMail {
    NewMail { to: vec![read_mailbox("to", to).unwrap()], list: Some("news".to_owned()), ..NewMail::default() }
}

#[test]
fn link_identifies_its_reader_and_list() {
    let link = lists().link_of(&news("Ada <ada+x@b.example>")).unwrap();
    let token = link.strip_prefix("https://app.example/mail/v1/unsubscribe?token=").unwrap();
    let unsubscription =
        Unsubscription { list: "news".to_owned(), address: "ada+x@b.example".to_owned(), tenant: None };
    assert_eq!(lists().read(token), Some(unsubscription.clone()));
    let tenant = Some(rowhouse_kernel::TenantId(uuid::Uuid::from_u128(7)));
    let other = lists().link_of(&NewMail { tenant, ..news("ada+x@b.example") }).unwrap();
    let token = other.rsplit_once('=').unwrap().1;
    assert_eq!(lists().read(token), Some(Unsubscription { tenant, ..unsubscription }));
    assert_eq!(Lists::new(&Secret::new("other"), "https://app.example").read(token), None);
}

#[test]
fn header_pair_conforms_to_rfc_8058_and_fits_a_line() {
    let longest = format!("{}@{}.example", "a".repeat(64), ["b"; 60].map(|_| "bbb").join("."));
    for to in ["ada@b.example", &longest] {
        let headers = lists().headers(&news(to)).unwrap();
        let lines: Vec<&str> = headers.split_terminator("\r\n").collect();
        assert!(lines[0].starts_with("List-Unsubscribe: <https://") && lines[0].ends_with('>'), "{headers}");
        assert_eq!(lines[1..], ["List-Unsubscribe-Post: List-Unsubscribe=One-Click"]);
        assert!(lines[0].len() < 998, "{}", lines[0].len());
    }
}

#[test]
fn mail_of_a_list_goes_to_one_reader() {
    let one = news("ada@b.example");
    let other = read_mailbox("to", "eve@b.example").unwrap();
    let own = ("list-Unsubscribe".to_owned(), "<mailto:x@b.example>".to_owned());
    for (mail, says) in [
        (NewMail { bcc: vec![other.clone()], ..one.clone() }, "list: such a mail goes to one address"),
        (NewMail { to: vec![other.clone(), other], ..one.clone() }, "list: such a mail goes to one address"),
        (NewMail { to: Vec::new(), ..one.clone() }, "list: such a mail goes to one address"),
        (NewMail { list: Some("News letter".to_owned()), ..one.clone() }, "list: expected"),
        (NewMail { list: Some("a\nb".to_owned()), ..one.clone() }, "list: expected"),
        (NewMail { headers: vec![own], ..one }, "headers: List-Unsubscribe"),
    ] {
        let error = lists().headers(&mail).unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
    }
}
