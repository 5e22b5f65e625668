"""The console: pages for people. One route, one template, one query a page; everything works without a script."""

from gatepost.service.web.console.account import router as account
from gatepost.service.web.console.administration import router as administration
from gatepost.service.web.console.administrators import router as administrators
from gatepost.service.web.console.alerts import router as alerts
from gatepost.service.web.console.audit import router as audit
from gatepost.service.web.console.by_hand import router as by_hand
from gatepost.service.web.console.control import router as control
from gatepost.service.web.console.default_level import router as default_level
from gatepost.service.web.console.device import router as device
from gatepost.service.web.console.exchange_setup import router as exchange_setup
from gatepost.service.web.console.help import router as help_page
from gatepost.service.web.console.holds import router as holds
from gatepost.service.web.console.invitations import router as invitations
from gatepost.service.web.console.notices import router as notices
from gatepost.service.web.console.onboarding import router as onboarding
from gatepost.service.web.console.pages import router as pages
from gatepost.service.web.console.passkeys import router as passkeys
from gatepost.service.web.console.policy import router as policy
from gatepost.service.web.console.policy_edit import router as policy_edit
from gatepost.service.web.console.policy_preview import router as policy_preview
from gatepost.service.web.console.removal import router as removal
from gatepost.service.web.console.report import router as report
from gatepost.service.web.console.route import console_router
from gatepost.service.web.console.sign_in import router as sign_in
from gatepost.service.web.console.sources import router as sources
from gatepost.service.web.console.step_up import router as step_up

router = console_router()
router.routes.extend(
    [
        *sign_in.routes,
        *passkeys.routes,
        *invitations.routes,
        *step_up.routes,
        *account.routes,
        *administrators.routes,
        *pages.routes,
        *device.routes,
        *policy.routes,
        *policy_edit.routes,
        *policy_preview.routes,
        *administration.routes,
        *control.routes,
        *removal.routes,
        *report.routes,
        *onboarding.routes,
        *default_level.routes,
        *holds.routes,
        *by_hand.routes,
        *audit.routes,
        *alerts.routes,
        *notices.routes,
        *help_page.routes,
        *sources.routes,
        *exchange_setup.routes,
    ]
)
