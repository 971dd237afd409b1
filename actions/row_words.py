"""What a plan says of rows that are to go: how many, for example which, and what else happens."""

from __future__ import annotations

from actions import row_statements as statements
from actions.batches import seconds_between
from actions.row_choice import LISTED, RowArgs, Wanted
from actions.row_statements import Lot
from actions.words import counted
from console.engine.port import Engine
from console.engine.row_sites import MOST_COUNTED, samples_there
from console.errors import ActionFailed
from console.model.row_sites import RowSite
from console.model.target import ServerIdentity
from console.present.units import span

SHOWN = 3


def forecast(args: RowArgs, number: int, rows: int, wanted: Wanted) -> tuple[str, ...]:
    if not number:
        return (f"no row has {wanted.words}: there is nothing to do",)
    many = f"more than {MOST_COUNTED:,} rows" if number > MOST_COUNTED else counted(number, "row")
    batches = -(-rows // args.batch)
    some = f", of which {counted(rows, 'row')} at most now" if args.limit and rows < number else ""
    return (
        f"{many} with {wanted.words}{some}",
        f"{counted(batches, 'batch').replace('batchs', 'batches')} of {counted(args.batch, 'row')}, "
        f"each a transaction; the pauses alone take {span(batches * seconds_between(args))}",
    )


async def examples(engine: Engine, lot: Lot, site: RowSite, flavor: str) -> tuple[str, ...]:
    """By the primary key only: other columns may hold what is nobody's business."""
    if not site.primary:
        return ()
    names = [statements.listed([one], flavor) for one in site.primary]
    try:
        found = await samples_there(engine, statements.counted_place(lot.table, flavor), names, lot.where)
    except ActionFailed:
        return ()
    told = ["(" + ", ".join(f"{name}={value}" for name, value in row.items()) + ")" for row in found[:SHOWN]]
    return (f"for example {', '.join(told)}",) if told else ()


def warnings(site: RowSite, lot: Lot) -> tuple[str, ...]:
    said = []
    if site.triggers:
        said.append(f"triggers run for each row: {', '.join(site.triggers[:LISTED])}")
    strict = [one for one in site.references if not one.reaches]
    if strict:
        told = ", ".join(f"{one.name} of {one.table}" for one in strict[:LISTED])
        said.append(f"a row that is still referred to stops it: {told}")
    if site.secured:
        said.append("row security may hide rows from the operator: those stay")
    if site.children:
        said.append(f"tables that inherit from it are not touched: {', '.join(site.children[:LISTED])}")
    if lot.archive is None:
        said.append("nothing is archived: what is deleted is gone")
    return tuple(said)


def refusals(site: RowSite, args: RowArgs, wanted: Wanted) -> tuple[str, ...]:
    said = []
    if wanted.led_by and not site.led_by(wanted.led_by) and not args.unindexed:
        said.append(
            f"no index begins with {', '.join(wanted.led_by)}, so that each batch would read the table; "
            "create one, or unindexed=true goes on"
        )
    reaching = [one for one in site.references if one.reaches]
    if reaching and not args.cascade:
        told = ", ".join(f"{one.name} of {one.table} ({one.rule})" for one in reaching[:LISTED])
        said.append(f"foreign keys would change rows elsewhere: {told}; cascade=true goes on")
    return tuple(said)


def undo(server: ServerIdentity, lot: Lot) -> str:
    if lot.archive is None:
        return "nothing undoes it: the rows are gone"
    names = statements.listed(lot.columns, server.flavor)
    table, archive = (statements.place(one, server.flavor) for one in (lot.table, lot.archive))
    return f"insert into {table} ({names}) select {names} from {archive} where …"  # noqa: S608 - for people
