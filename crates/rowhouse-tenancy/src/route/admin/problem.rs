//! Refusals as problem details.

use http::StatusCode;
use rowhouse_http::api::Problem;

use crate::error::TenancyError;
use crate::permission::PermissionError;

impl From<PermissionError> for Problem {
    fn from(error: PermissionError) -> Self {
        TenancyError::from(error).into()
    }
}

impl From<TenancyError> for Problem {
    fn from(error: TenancyError) -> Self {
        let text = error.to_string();
        let conflict = |code| Self::new(StatusCode::CONFLICT, code, text.clone());
        match error {
            TenancyError::Denied(_) | TenancyError::OperatorsOnly => Self::forbidden("forbidden", text),
            TenancyError::OwnersOnly => Self::forbidden("owners_only", text),
            TenancyError::BeyondOwn(_) => Self::forbidden("beyond_own_permissions", text),
            TenancyError::Impersonated => Self::forbidden("impersonated", text),
            TenancyError::NotJoinable => Self::forbidden("not_joinable", text),
            TenancyError::Missing(_) | TenancyError::NotAMember => Self::not_found(text),
            TenancyError::Invalid(_) => Self::invalid(text),
            TenancyError::NoSuchRole => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "no_such_role", text),
            TenancyError::NotInOrganization => conflict("not_in_organization"),
            TenancyError::IsAMember => conflict("is_a_member"),
            TenancyError::SlugTaken => conflict("slug_taken"),
            TenancyError::RoleTaken => conflict("role_taken"),
            TenancyError::RoleInUse => conflict("role_in_use"),
            TenancyError::BuiltInRole => conflict("built_in_role"),
            TenancyError::LastOwner => conflict("last_owner"),
            TenancyError::WrongStatus(_) | TenancyError::NotDeleted { .. } => conflict("wrong_status"),
            TenancyError::TooLate => conflict("too_late"),
            TenancyError::TooMany(_) => conflict("too_many"),
            TenancyError::TooManyTenants(_) => conflict("too_many_tenants"),
            TenancyError::ProductInUse => conflict("product_in_use"),
            TenancyError::ProductRetired => conflict("product_retired"),
            TenancyError::NotEnabled => conflict("not_enabled"),
            TenancyError::ApplicationTaken => conflict("application_taken"),
            TenancyError::PlanInUse => conflict("plan_in_use"),
            TenancyError::NoSuchPlan => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "no_such_plan", text),
            TenancyError::Broken(_) => {
                tracing::error!(error = text, "the admin API failed");
                Self::internal()
            }
            TenancyError::Db(error) => error.into(),
        }
    }
}
