# Declarations of Starling's built-ins, for editors. Made by `starling types`:
# nothing here runs, and changes are lost.

from typing import Any, Callable, Literal, NoReturn

class Event:
    """The event that handlers are called with."""
    id: str
    """Unique, and the same when Slack delivers the event again."""
    kind: str
    """`message mention command action view view_closed shortcut options reaction home event webhook schedule`."""
    type: str
    """Slack's own name, such as `app_mention` or `block_actions`."""
    team: str
    """Id of the workspace."""
    enterprise: str
    """Id of the organisation, if there is one."""
    app: str
    """Id of the Slack app that received it."""
    bot: str
    """Configured name of the bot that received it."""
    bot_user: str
    """User id of that bot."""
    retry: int
    """How often Slack has delivered it before; 0 the first time."""
    retry_reason: str
    """Why Slack delivered it again."""
    received: float
    """When it arrived, in seconds since 1970."""
    raw: dict[str, Any]
    """The whole payload as Slack sent it, unknown fields included; of a webhook its body."""
    user: str
    """Id of who did it."""
    channel: str
    """Id of the conversation where it happened."""
    ts: str
    """The message's `ts`: its id within the channel."""
    thread_ts: str
    """The `ts` of the message that began the thread."""
    event_ts: str
    """Slack's time of the event."""
    subtype: str | None
    """Slack's subtype, such as `file_share`. Of: message, mention."""
    text: str | None
    """The text in Slack's markup; after a mention rule matched, still with the mention. Of a command: what follows it. Of: message, mention, command."""
    plain_text: str | None
    """The text as people see it, without markup. Of: message, mention, command."""
    match: dict[str, Any] | None
    """What the rule's expression found: by number as text (`"0"` is all of it) and by name. Of: rules with a pattern."""
    mentions: list[str] | None
    """Ids of the users that the text mentions. Of: message, mention, command."""
    channels: list[str] | None
    """Ids of the channels that the text links. Of: message, mention, command."""
    usergroups: list[str] | None
    """Ids of the user groups that the text mentions. Of: message, mention, command."""
    specials: list[str] | None
    """`here`, `channel`, `everyone`, if the text calls them. Of: message, mention, command."""
    links: list[str] | None
    """URLs in the text. Of: message, mention, command."""
    emails: list[str] | None
    """E-mail addresses in the text. Of: message, mention, command."""
    emoji: list[str] | None
    """Names of the emoji in the text. Of: message, mention, command."""
    directed: bool | None
    """The message begins with the bot's mention, or is a direct message. Of: message, mention."""
    mentioned: bool | None
    """The text mentions the bot anywhere. Of: message, mention."""
    edited: bool | None
    """The message was changed: `text` is the new one. Of: message, mention."""
    files: list[dict[str, Any]] | None
    """Files of the message, as Slack describes them. Of: message, mention."""
    blocks: list[dict[str, Any]] | None
    """Block Kit blocks of the message. Of: message, mention."""
    message: dict[str, Any] | None
    """The message that the event is about, as Slack sends it. Of: message, mention, action, shortcut."""
    command: str | None
    """The command with its slash. Of: command."""
    args: dict[str, Any] | None
    """What the rule's grammar of `args` made of the text. Of: command."""
    action: dict[str, Any] | None
    """The element that was used. Of: action, options."""
    actions: list[dict[str, Any]] | None
    """All elements of the payload. Of: action."""
    value: str | None
    """The plain value of that element; a list of strings where several are chosen. Of: action."""
    values: dict[str, Any] | None
    """The value of each input, by `action_id` (`block_id.action_id` where ids repeat). Of: action, view, view_closed."""
    state: dict[str, Any] | None
    """The state of the inputs as Slack sends it. Of: action, view, view_closed."""
    view: dict[str, Any] | None
    """The view, as Slack sends it. Of: action, view, view_closed, options, home."""
    callback_id: str | None
    """What the view, shortcut or attachment is called. Of: action, view, view_closed, shortcut, options."""
    trigger_id: str | None
    """What `open_modal` needs within three seconds; filled in by itself. Of: command, action, view, view_closed, shortcut, options."""
    response_url: str | None
    """Where `respond` sends its answer. Of: command, action, view, view_closed, shortcut, options."""
    options_query: str | None
    """What was typed into the select. Of: options."""
    topic: str | None
    """The topic that a conversation was given. Of: event (message.channel_topic)."""
    purpose: str | None
    """The purpose that a conversation was given. Of: event (message.channel_purpose)."""
    presence: str | None
    """`active` or `away`: what `user` has become. Of: event (presence_change)."""
    reaction: str | None
    """Name of the emoji, without colons. Of: reaction."""
    removed: bool | None
    """The reaction was taken away. Of: reaction."""
    item: dict[str, Any] | None
    """What was reacted to: `type`, `channel`, `ts`. Of: reaction."""
    method: str | None
    """HTTP method. Of: webhook."""
    path: str | None
    """Path of the URL. Of: webhook."""
    params: dict[str, Any] | None
    """The parts in braces of the rule's route. Of: webhook."""
    query: dict[str, Any] | None
    """Parameters of the URL; one that is there several times is a list. Of: webhook."""
    headers: dict[str, Any] | None
    """Header fields, by lower-case name; those that are there several times are joined by commas. One that holds the secret itself is `***`. Of: webhook."""
    cookies: dict[str, Any] | None
    """Cookies of the request, by name. Of: webhook."""
    remote: str | None
    """Address of the client, behind trusted proxies. Of: webhook."""
    body: str | None
    """The body as text. Of: webhook."""
    body_bytes: bytes | None
    """The body as it came. Of: webhook."""
    json: Any
    """The body decoded, if it is JSON. Of: webhook."""
    form: Any
    """The fields of a form, one that is there several times as a list; with `form_param` that parameter, decoded if it is JSON. Of: webhook."""
    scheduled_at: float | None
    """The time that was due, in seconds since 1970. Of: schedule."""

class Secret:
    """A secret of the configuration: it prints as ***."""
    def __add__(self, other: Any) -> Secret: ...
    def __radd__(self, other: Any) -> Secret: ...

class Regexp:
    """A regular expression that re.compile has made."""

class Result:
    ok: bool
    error: str | None
    def __getattr__(self, name: str) -> Any: ...

def post(channel: str, text: str | None = None, *, blocks: list[Any] | None = None, style: Literal["plain", "bold"] = "plain", urgent: bool = False) -> Result:
    """Post a message.

    Names and ids are taken; # may be left out.

    channel: Where to.
    text: What.
    blocks: Blocks, a|b.
    style: How.
    urgent: Loudly.

    Returns result.
    """

class _set:

    empty: list[Any]
    """The empty set."""

    @staticmethod
    def union(*sets: list[Any], **more: Any) -> list[Any]:
        """Join sets.

        sets: The sets.
        more: Named sets.

        Returns list.
        """

set: _set
