"""The page on which a policy is written: one form for all of it, that works without a script.

The form holds everything, so nothing is kept between two presses of a button: a rule that is added or moved comes back
in the answer. What can be saved becomes a new version, which holds for nobody until it is rolled out.
"""

import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from gatepost.domain.policies import Policy, PolicyError, read_policy
from gatepost.errors import Problem
from gatepost.service.administrators import Session
from gatepost.service.administrators.person import Person
from gatepost.service.policies import choices, rings, versions
from gatepost.service.web import policy_mistakes, render
from gatepost.service.web.console.policy import PAGE
from gatepost.service.web.console.route import ConsoleRoute, console_router
from gatepost.service.web.limits import LARGEST_POLICY
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.policy_form import CHOICES, Draft, draft_of, read
from gatepost.service.web.policy_mistakes import Mistake
from gatepost.service.web.sessions import tenant_of


class PolicyRoute(ConsoleRoute):
    """A route whose form holds a whole policy."""

    largest_form: ClassVar[int] = LARGEST_POLICY


router = console_router(PolicyRoute)


@router.get(f"{PAGE}/edit")
async def edit_page(request: Request, session: Annotated[Session, requires(Permission.POLICIES_WRITE)]) -> Response:
    """The form, with the version asked for, else the one that is in force, else with what a policy begins with."""
    asked = request.query_params.get("from", "")
    async with tenant_of(request, session) as scope:
        standing = await rings.current(scope)
        wanted = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 else None
        wanted = wanted if wanted is not None else standing.version if standing else None
        policy = (await versions.get(scope, wanted)).policy if wanted is not None else Policy()
    return await edited(request, session, draft_of(policy, render.zone_of(request)))


@router.post(f"{PAGE}/edit")
async def edit(request: Request, session: Annotated[Session, requires(Permission.POLICIES_WRITE)]) -> Response:
    """The form again, changed by the button that was pressed."""
    pressed, _, place = str((await request.form()).get("do", "")).partition(".")
    draft = await sent(request, session)
    number = int(place) if place.isascii() and place.isdigit() and len(place) < 5 else -1
    if pressed == "add":
        return await edited(request, session, draft.with_rule(secrets.token_hex(6)), opened={len(draft.rules)})
    if pressed == "remove" and number >= 0:
        return await edited(request, session, draft.without_rule(number))
    if pressed in {"up", "down"}:
        target = number + (1 if pressed == "down" else -1)
        return await edited(request, session, draft.with_rule_at(number, target))
    return await edited(request, session, draft, opened={number})


@router.post(f"{PAGE}/save")
async def save(request: Request, session: Annotated[Session, requires(Permission.POLICIES_WRITE)]) -> Response:
    """Keep what was written as a new version, and lead to rolling it out; the form again where something is wrong.

    Where somebody saved another version since the form was opened, that is said first: pressed again, it is saved.
    """
    draft = await sent(request, session)
    if wrong := await mistakes(request, session, draft):
        return await edited(request, session, draft, wrong)
    form = await request.form()
    note = str(form.get("note", ""))
    async with tenant_of(request, session) as scope:
        newest = await versions.newest(scope)
    if newest and str(form.get("newest", newest.version)) != str(newest.version):
        return await edited(request, session, draft, meanwhile=newest)
    try:
        async with tenant_of(request, session) as scope:
            version = await versions.save(scope, draft.document(render.zone_of(request)), note, Person.of(session))
    except Problem as problem:
        if problem.fields.get("place") != "note":
            raise
        return await edited(request, session, draft, {"note": policy_mistakes.NOTE})
    return RedirectResponse(f"{PAGE}/rollout?version={version}", 303)


async def sent(request: Request, session: Session) -> Draft:
    """What was written, by the fields of the form or as the document that a preview carries; groups by their names."""
    form = await request.form()
    async with tenant_of(request, session) as scope:
        known = await choices.groups(scope)
    if "document" in form:
        return draft_of(_document(str(form["document"])), render.zone_of(request))
    fields = {name: [str(value) for value in form.getlist(name)] for name in form}
    return read(fields).resolved(known)


async def mistakes(request: Request, session: Session, draft: Draft) -> dict[str, Mistake]:
    """What is wrong with what was written, by place."""
    async with tenant_of(request, session) as scope:
        known = await choices.groups(scope)
    return policy_mistakes.found(draft, render.zone_of(request), known)


async def edited(
    request: Request,
    session: Session,
    draft: Draft,
    wrong: Mapping[str, Mistake] | None = None,
    opened: Iterable[int] = (),
    meanwhile: versions.Version | None = None,
) -> Response:
    """The form; with what is ``wrong``, and with the rules ``opened`` whose mistakes or changes are to be seen.

    ``meanwhile`` is a version that somebody saved since the form was opened.
    """
    typed = (await request.form()) if request.method == "POST" else {}
    async with tenant_of(request, session) as scope:
        values: dict[str, Any] = {"groups": await choices.groups(scope), "defaults": await choices.defaults(scope)}
        known = await choices.history(scope, None, 1)
    newest = str(known[0]["version"]) if known else "0"
    places = wrong or {}
    faulty = {number for number in range(len(draft.rules)) if any(f"rules[{number}]." in place for place in places)}
    return render.page(
        request,
        "policy/edit.html",
        session=session,
        status=400 if wrong else 409 if meanwhile else 200,
        draft=draft,
        mistakes=places,
        opened={*opened, *faulty},
        note=str(typed.get("note", ""))[:1_000],
        newest=newest if meanwhile else str(typed.get("newest", newest))[:20],
        meanwhile=meanwhile,
        **values,
        **CHOICES,
    )


def _document(text: str) -> Policy:
    """The policy that a preview carries from the form to the version. Raises Problem 400."""
    try:
        return read_policy(json.loads(text))
    except (ValueError, PolicyError) as error:
        raise Problem(400, "malformed", "The policy cannot be read.") from error
