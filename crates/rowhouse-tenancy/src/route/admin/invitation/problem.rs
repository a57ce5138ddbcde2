//! Refusals as problem details.

use http::StatusCode;
use rowhouse_http::api::Problem;

use crate::flow::invitation::InvitationError;

impl From<InvitationError> for Problem {
    fn from(error: InvitationError) -> Self {
        let text = error.to_string();
        let of = |status, code| Self::new(status, code, text.clone());
        match error {
            InvitationError::NotFound => of(StatusCode::NOT_FOUND, "invitation_not_found"),
            InvitationError::Expired => of(StatusCode::GONE, "invitation_expired"),
            InvitationError::Revoked => of(StatusCode::GONE, "invitation_revoked"),
            InvitationError::Used => of(StatusCode::CONFLICT, "invitation_used"),
            InvitationError::WrongAddress => of(StatusCode::FORBIDDEN, "invitation_wrong_address"),
            InvitationError::Unconfirmed => of(StatusCode::FORBIDDEN, "invitation_unconfirmed_address"),
            InvitationError::OrganizationClosed => of(StatusCode::FORBIDDEN, "organization_closed"),
            InvitationError::NoUser => of(StatusCode::FORBIDDEN, "forbidden"),
            InvitationError::IsInvited => of(StatusCode::CONFLICT, "is_invited"),
            InvitationError::ResentTooOften => of(StatusCode::CONFLICT, "resent_too_often"),
            InvitationError::TooManyPending(_) => of(StatusCode::CONFLICT, "too_many_invitations"),
            InvitationError::TooSoon(pause) => {
                of(StatusCode::TOO_MANY_REQUESTS, "resent_too_soon").after(pause)
            }
            InvitationError::TooManyLetters(_, pause) => {
                of(StatusCode::TOO_MANY_REQUESTS, "too_many_letters").after(pause)
            }
            InvitationError::NoLetter(why) => {
                tracing::error!(error = why, "the letter of an invitation could not be written");
                of(StatusCode::SERVICE_UNAVAILABLE, "mail_unavailable")
            }
            InvitationError::Tenancy(error) => error.into(),
        }
    }
}
