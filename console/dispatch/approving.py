"""Four eyes: plans that others have to approve, by the plan's hash, before they may run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Final
from uuid import UUID

import msgspec

from console.audit.ledger import Ledger
from console.audit.record import Entry, Kind
from console.audit.verify import fields
from console.dispatch.action import Plan
from console.dispatch.ruling import Ruling
from console.errors import Refused, UsageError

# So far a clock is moved without harm; an approval of later than that was made before it was set back.
_MOVED: Final = timedelta(minutes=1)


class ApprovalMissing(Refused):
    """Others have to approve the plan first."""


class Approved(msgspec.Struct, frozen=True, kw_only=True):
    """What an intent names: the links of the approvals, and how old they may be. The ledger's server checks
    that they are other logins', of this plan, and young enough. `plan_hash` is what they approved. `waived`:
    so many were wanted, and the policy lets a break-glass go without.
    """

    plan_hash: str = ""
    links: tuple[str, ...] = ()
    within: float = 0.0
    waived: int = 0

    def beside(self) -> dict[str, object]:
        if self.waived:
            return {"approvals_waived": self.waived}
        if not self.links:
            return {}
        return {"approvals": list(self.links), "approvals_within": self.within}


NOBODY_ASKED = Approved()


def id_of(plan_hash: str) -> UUID:
    """Under which the approvals of a plan stand. Raises UsageError for what is no hash."""
    try:
        return UUID(plan_hash[:32])
    except ValueError:
        raise UsageError(f"{plan_hash!r} is no hash of a plan", "the refusal of `apply` tells it") from None


async def approved(ledger: Ledger, plan: Plan, wanted: Ruling) -> Approved:
    """Raises ApprovalMissing naming the hash, AuditUnavailable.

    Who approved a saved plan has approved what is left of it, too.
    """
    if not wanted.approvals:
        return NOBODY_ASKED
    found = [(one, await _others(ledger, one, wanted)) for one in (plan.hash, plan.part_of) if one]
    plan_hash, others = max(found, key=lambda one: len(one[1]))  # of as many the first
    if len(others) < wanted.approvals:
        of = f" of {', '.join(wanted.approvers)}" if wanted.approvers else ""
        raise ApprovalMissing(
            f"{wanted.rule} wants {wanted.approvals} other{of} to approve this plan, {len(others)} did; "
            f"nothing was executed: {plan_hash}",
            f"somebody with another login at the ledger: `dbdeck approve {plan_hash[:16]} --reason TEXT`; "
            "then do it again, or let `apply --approve-wait 10m` wait for it",
        )
    links = tuple(row.link.hex() for row in others[-wanted.approvals :])
    return Approved(plan_hash=plan_hash, links=links, within=wanted.within)


async def _others(ledger: Ledger, plan_hash: str, wanted: Ruling) -> list[Entry]:
    """The approvals that count, one of each person, in order."""
    rows = [
        row
        for row in await ledger.approvals(id_of(plan_hash))
        if fields(row.body).get("plan_hash") == plan_hash
    ]
    oldest, newest = ledger.now - timedelta(seconds=wanted.within), ledger.now + _MOVED
    young = [row for row in rows if oldest < row.at < newest]
    return _newest([row for row in young if _may(row, wanted, ledger)], ledger)


def _may(row: Entry, wanted: Ruling, ledger: Ledger) -> bool:
    """By the login that the ledger's server verified."""
    person = ledger.person(row.db_user)
    return not wanted.approvers or any(fnmatchcase(person, glob) for glob in wanted.approvers)


def unapproved(plan: Plan, wanted: Ruling, *, allowed: bool) -> Approved:
    """What a break-glass goes without, where the policy allowed that. Raises ApprovalMissing."""
    if not wanted.approvals:
        return NOBODY_ASKED
    if not allowed:
        raise ApprovalMissing(
            f"{wanted.rule} wants {wanted.approvals} other to approve this plan, and without the ledger "
            f"nobody's approval can be read; nothing was executed: {plan.hash}",
            "wait for the ledger; policy.break_glass[].without_approvals lets a break-glass go without",
        )
    return Approved(waived=wanted.approvals)


def _newest(rows: Iterable[Entry], ledger: Ledger) -> list[Entry]:
    """One of each other person by the ledger's own word, in order; of a file nobody: it verifies none."""
    found: dict[str, Entry] = {}
    for row in rows:
        person = ledger.person(row.db_user)
        found.pop(person, None)  # a later one moves to the end
        if person and person != ledger.own_person:
            found[person] = row
    return list(found.values())


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that waits for approval: the row that was written when it was refused."""

    entry: Entry
    plan: Plan

    @property
    def reason(self) -> str:
        """What who asked wants it for."""
        return self._said("reason")

    @property
    def ticket(self) -> str:
        return self._said("ticket")

    def _said(self, name: str) -> str:
        said = fields(self.entry.body).get("wanted")
        return str(said.get(name) or "") if isinstance(said, dict) else ""


async def asked(ledger: Ledger, part: str) -> Asked:
    """The newest plan that waits for approval whose hash begins so.

    Raises UsageError where there is none or more than one, AuditUnavailable, PrivilegeMissing.
    """
    if len(part) < 8 or not all(one in "0123456789abcdef" for one in part):
        raise UsageError(f"{part!r} is no hash of a plan", "give 8 digits of it or more")
    rows = await ledger.entries(kinds=(Kind.REFUSED,), containing=f'"plan_hash":"{part}')
    hashes = {str(fields(row.body).get("plan_hash")) for row in rows}
    if len(hashes) != 1:
        many = "none" if not hashes else "several"
        raise UsageError(
            f"{many} of the plans that wait for approval begins with {part}; nothing was approved",
            "`dbdeck audit list --kind refused` has them",
        )
    try:
        found = Asked(entry=rows[0], plan=msgspec.convert(fields(rows[0].body)["plan"], Plan))
    except (KeyError, msgspec.ValidationError):
        raise UsageError("a newer dbdeck made this plan; nothing was approved") from None
    if {found.plan.hash} != hashes:
        raise UsageError(
            f"the plan in row {rows[0].id}, by {rows[0].db_user}, is not the one with the hash {part}: "
            "somebody wrote that row by hand, or another dbdeck did; nothing was approved",
            "have it planned and asked for again",
        )
    return found


async def approve(ledger: Ledger, wanted: Asked, reason: str, by: str) -> None:
    """Raises Refused for who asked for it, and where the ledger verifies nobody; AuditUnavailable."""
    if not ledger.own_person:
        raise Refused(
            "this ledger is a file, which verifies nobody: it cannot tell two people; nothing was approved",
            "four eyes need a ledger on a server: docs/audit.md",
        )
    if ledger.person(wanted.entry.db_user) == ledger.own_person:
        raise Refused(
            f"{ledger.own_person} asked for this plan, and cannot approve it; nothing was approved",
            "somebody with another login at the ledger has to",
        )
    plan = wanted.plan
    body = {
        "plan_hash": plan.hash,
        "action": plan.action,
        "target": plan.target,
        "reason": reason,
        "operator": by,
    }
    await ledger.append(Kind.APPROVAL, id_of(plan.hash), body)
