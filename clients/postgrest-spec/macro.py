"""Puts the body of an action of a specification's own in the place of its call: `preferCommit `shouldPersist` applied`."""

from haskell import Token

# What makes a definition an action that sends something.
SENDS = ("`shouldRespondWith`", "it")


def definitions(tokens):
    """Actions defined at the left margin: name → (parameters, body)."""
    found, at = {}, 0
    while at < len(tokens):
        end = at + 1
        while end < len(tokens) and tokens[end].column > 0:
            end += 1
        head = []
        while at + len(head) < end and tokens[at + len(head)].kind == "name":
            head.append(tokens[at + len(head)].text)
        after = at + len(head)
        is_definition = head and after < end and tokens[after].text == "=" and "withConfig" not in head
        body = tokens[after + 1:end] if is_definition else []
        if any(token.text in SENDS for token in body):
            skipped = 1 if body[0].text == "do" else 0
            found[head[0]] = (head[1:], body[skipped:], (at, end))
        at = end
    return found


def expanded(tokens):
    """The tokens with each call replaced by its action; actions themselves are left out where they are defined."""
    actions = definitions(tokens)
    places = {at for _, _, (start, end) in actions.values() for at in range(start, end)}
    return substitute([token for at, token in enumerate(tokens) if at not in places], actions, {}, None)


def substitute(tokens, actions, arguments, place):
    """Calls replaced by bodies and parameters by arguments; what comes from a body keeps its line and gets the caller's place."""
    found, at = [], 0
    while at < len(tokens):
        token = tokens[at]
        name = token.text.strip("`")
        here = token.place if place is None else place
        if name in actions and (token.kind == "infix") == bool(actions[name][0]):
            parameters, body, _ = actions[name]
            given = dict(arguments)
            if parameters:
                found.pop()
                given.update(zip(parameters, (arguments.get(t.text, t) for t in (tokens[at - 1], tokens[at + 1]))))
                at += 1
            found += substitute(body, actions, given, here)
        elif token.text in arguments:
            found.append(moved(arguments[token.text], token, here))
        else:
            found.append(moved(token, token, here))
        at += 1
    return found


def moved(token, layout, place):
    """A copy of a token that stands where `layout` stood."""
    copy = Token(token.kind, token.text, layout.at, layout.column, layout.before)
    copy.place = place
    return copy
