"""Decide what an item is part of: its story, its incident. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from streams import events
from streams.correlate.incidents import entered, forgotten, left, main_event, stub
from streams.correlate.memory import (
    HeldIncident,
    HeldItem,
    HeldStory,
    Turn,
    incident_key,
    item_key,
    story_key,
)
from streams.records import FORGOTTEN_VERSION, Incident, Item, Story, TaggedItem
from streams.stage import Decision, Received, State
from streams.text import fingerprint


def decide(received: Received, state: State) -> Decision:
    """Return the item with its story and incident, and each incident it changes.

    Ignored is what was said before what is held, and what is equal to it; the same
    revision read anew replaces. A record that is replayed gives what it gave before,
    as far as nothing younger has changed it.
    """
    tagged: TaggedItem = received.data
    turn = Turn(received.record, state)
    origin = events.origin_of(received.record)
    placed = _placed(tagged, origin, turn)
    if placed is None:
        return Decision()
    item = _item(tagged, placed, origin=origin)
    changed = [events.incident(one) for one in _account(item, placed, turn)]
    turn.touch(_keys(item, placed))
    return Decision([events.item(item), *changed], turn.writes)


def _placed(item: TaggedItem, origin: str, turn: Turn) -> HeldItem | None:
    """Return where *item* belongs from this record on; None if it says nothing new."""
    said = events.saying(item.first_seen, item.revision, origin)
    key = item_key(item.id)
    before = turn.find(key, HeldItem)
    digest = fingerprint(events.encode(item).decode())
    if before is not None:
        if before.cause == turn.offset:
            return before  # a replay: what was decided stands
        if before.version == FORGOTTEN_VERSION:
            return None
        if before.cause > turn.offset or said < _last_said(before, said):
            return None
        if (item.revision, digest) == (before.revision, before.digest):
            return None
    story = _story_of(item)
    version = turn.version_after(before.version if before else 0)
    after = HeldItem(
        version=FORGOTTEN_VERSION if item.state == "forgotten" else version,
        revision=item.revision,
        digest=digest,
        first_seen=item.first_seen,
        origin=said.offset,
        anchor=(before and before.anchor) or item.anchor,
        story=story,
        role=_role(item, story, before, turn),
        incident=_incident_of(item, story, before, turn),
        left_story=before.story if before else "",
        left_incident=before.incident if before else "",
    )
    return turn.put(key, after)


def _last_said(held: HeldItem, said: events.Saying) -> events.Saying:
    first_seen = held.first_seen or said.first_seen
    return events.Saying(first_seen, held.revision, held.origin)


def _story_of(item: TaggedItem) -> str:
    if item.state != "present" or not item.signature:
        return ""
    return "s" + fingerprint(item.signature)


def _role(
    item: TaggedItem, story: str, before: HeldItem | None, turn: Turn
) -> Literal["first", "copy"]:
    if before is not None and before.story == story:
        return before.role
    known = turn.find(story_key(story), HeldStory)
    if known is None or not known.members or known.first == item.id:
        return "first"
    return "copy"


def _incident_of(
    item: TaggedItem, story: str, before: HeldItem | None, turn: Turn
) -> str:
    """Return the incident that *item* reports; '' if it reports none.

    It is its story's. A text that nobody else carries takes its incident along when it
    is edited, so that an edit does not end one incident and open another.
    """
    if not story or main_event(item) is None:
        return ""
    known = turn.find(story_key(story), HeldStory)
    if known is not None and known.incident:
        return known.incident
    if before is not None and before.incident:
        own = turn.find(incident_key(before.incident), HeldIncident)
        if own is not None and own.incident.item_count == 1 and _leads(item, own):
            return before.incident
    # The opening revision is in it: the id may outlive its story, and never returns.
    return "n" + fingerprint("incident", story, item.id, str(item.revision))


def _leads(item: TaggedItem, held: HeldIncident) -> bool:
    return held.incident.reports[:1] != () and held.incident.reports[0].item == item.id


def _item(tagged: TaggedItem, placed: HeldItem, *, origin: str) -> Item:
    said = {name: getattr(tagged, name) for name in TaggedItem.__struct_fields__}
    return Item(
        **(said | {"anchor": placed.anchor or tagged.anchor}),
        version=placed.version,
        story=Story(id=placed.story, role=placed.role) if placed.story else None,
        incidents=(placed.incident,) if placed.incident else (),
        origin=origin,
    )


def _account(item: Item, placed: HeldItem, turn: Turn) -> Iterator[Incident]:
    """Bring stories and incidents up to date; yield each incident that changes."""
    if placed.left_story and placed.left_story != placed.story:
        _leave_story(placed, turn)
    if item.forgetting is not None:
        for ident in _quoted_in(item, placed):
            yield from _forget_in(item, ident, placed, turn)
    elif placed.left_incident and placed.left_incident != placed.incident:
        yield from _leave_incident(item, placed, turn)
    if placed.story:
        _enter_story(item, placed, turn)
    if placed.incident:
        yield from _enter_incident(item, placed, turn)


def _leave_story(placed: HeldItem, turn: Turn) -> None:
    def without(story: HeldStory | None) -> HeldStory | None:
        if story is None:
            return None
        taken_along = story.incident == placed.incident
        return msgspec.structs.replace(
            story,
            members=max(0, story.members - 1),
            incident="" if taken_along else story.incident,
        )

    turn.change(story_key(placed.left_story), HeldStory, without)


def _enter_story(item: Item, placed: HeldItem, turn: Turn) -> None:
    def with_item(story: HeldStory | None) -> HeldStory:
        if story is None or not story.members:
            return HeldStory(first=item.id, members=1, incident=placed.incident)
        known = placed.left_story == placed.story
        return msgspec.structs.replace(
            story,
            members=story.members + (not known),
            incident=placed.incident or story.incident,
        )

    turn.change(story_key(placed.story), HeldStory, with_item)


def _leave_incident(item: Item, placed: HeldItem, turn: Turn) -> Iterator[Incident]:
    def without(held: HeldIncident | None) -> HeldIncident | None:
        if held is None:
            return None
        return left(
            held,
            item,
            version=turn.version_after(held.incident.version),
            moved_to=placed.incident,
        )

    after = turn.change(incident_key(placed.left_incident), HeldIncident, without)
    if after is None:
        return
    if not after.incident.item_count:
        _end_in_story(after, turn)
    if after.cause == turn.offset:
        yield after.incident


def _quoted_in(item: Item, placed: HeldItem) -> tuple[str, ...]:
    """Return the incidents that *item*, which is forgotten, must be taken out of."""
    told = item.forgetting.incidents if item.forgetting is not None else ()
    return tuple(dict.fromkeys(one for one in (placed.left_incident, *told) if one))


def _forget_in(
    item: Item, ident: str, placed: HeldItem, turn: Turn
) -> Iterator[Incident]:
    """Yield the incident *ident* without a word of *item*'s.

    Of one that is older than our memory only a stub without reports can be issued; not
    by a replay, which comes when others may report what was issued then.
    """

    def without(held: HeldIncident | None) -> HeldIncident | None:
        if held is None:
            return None
        version = turn.version_after(held.incident.version)
        member = ident == placed.left_incident
        return forgotten(held, item, version=version, member=member)

    after = turn.change(incident_key(ident), HeldIncident, without)
    if after is None:
        if not turn.is_replay:
            yield stub(ident, item, version=turn.version_after(0))
        return
    if not after.incident.item_count:
        _end_in_story(after, turn)
    if after.cause == turn.offset:
        yield after.incident


def _end_in_story(ended: HeldIncident, turn: Turn) -> None:
    """Take an incident without reports from its story: the next report opens one."""

    def without(story: HeldStory | None) -> HeldStory | None:
        if story is None or story.incident != ended.incident.id:
            return story
        return msgspec.structs.replace(story, incident="")

    turn.change(story_key(ended.story), HeldStory, without)


def _enter_incident(item: Item, placed: HeldItem, turn: Turn) -> Iterator[Incident]:
    def with_item(held: HeldIncident | None) -> HeldIncident:
        return entered(
            held,
            item,
            version=turn.version_after(held.incident.version if held else 0),
            ident=placed.incident,
            known=placed.left_incident == placed.incident,
        )

    after = turn.change(incident_key(placed.incident), HeldIncident, with_item)
    if after is not None and after.cause == turn.offset:
        yield after.incident


def _keys(item: Item, placed: HeldItem) -> Iterator[bytes]:
    """Yield the entries that the record touched; the same ones in every replay."""
    yield item_key(item.id)
    for story in dict.fromkeys((placed.story, placed.left_story)):
        if story:
            yield story_key(story)
    for incident in dict.fromkeys(
        (placed.incident, placed.left_incident, *_quoted_in(item, placed))
    ):
        if incident:
            yield incident_key(incident)
