"""The console: pages for people. One route, one template, one query a page; everything works without a script."""

from gatepost.service.web.console.administration import router as administration
from gatepost.service.web.console.by_hand import router as by_hand
from gatepost.service.web.console.device import router as device
from gatepost.service.web.console.exchange_setup import router as exchange_setup
from gatepost.service.web.console.pages import router as pages
from gatepost.service.web.console.route import console_router
from gatepost.service.web.console.sign_in import router as sign_in
from gatepost.service.web.console.step_up import router as step_up

router = console_router()
router.routes.extend(
    [
        *sign_in.routes,
        *step_up.routes,
        *pages.routes,
        *device.routes,
        *administration.routes,
        *by_hand.routes,
        *exchange_setup.routes,
    ]
)
