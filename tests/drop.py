#!/usr/bin/env python3
"""Drops files on a window by the XDND protocol, as a file manager does: `drop.py WINDOW FILE…`, with DISPLAY set; needs python-xlib.
Exits with 1 if the window refuses them or does not answer within 10 seconds."""
import os, pathlib, select, sys, time

from Xlib import X, Xatom, display
from Xlib.protocol import event

TARGET = int(sys.argv[1])
FILES = "".join(pathlib.Path(path).absolute().as_uri() + "\r\n" for path in sys.argv[2:]).encode()

d = display.Display()
source = d.screen().root.create_window(0, 0, 1, 1, 0, d.screen().root_depth)
target = d.create_resource_object("window", TARGET)
atom = d.intern_atom
ACTION, LIST = atom("XdndActionCopy"), atom("text/uri-list")
version = target.get_full_property(atom("XdndAware"), Xatom.ATOM)
if version is None:
    sys.exit(f"window {TARGET} takes no drops")


def send(name, *data):
    message = event.ClientMessage(window=target, client_type=atom(name), data=(32, [source.id, *data] + [0] * (4 - len(data))))
    target.send_event(message)
    d.flush()


def wait(name):
    """The message of that name from the window; requests for the files are answered meanwhile."""
    end = time.time() + 10
    while time.time() < end:
        if not d.pending_events():
            select.select([d], [], [], 0.1)
            continue
        e = d.next_event()
        if e.type == X.SelectionRequest:
            e.requestor.change_property(e.property, e.target, 8, FILES)
            answer = event.SelectionNotify(time=e.time, requestor=e.requestor, selection=e.selection, target=e.target, property=e.property)
            e.requestor.send_event(answer)
            d.flush()
        elif e.type == X.ClientMessage and e.client_type == atom(name):
            return e.data[1]
    sys.exit(f"no {name} within 10 seconds")


source.set_selection_owner(atom("XdndSelection"), X.CurrentTime)
send("XdndEnter", version.value[0] << 24, LIST)
place = target.translate_coords(d.screen().root, 0, 0)
x, y = -place.x + 300, -place.y + 300
send("XdndPosition", 0, x << 16 | y, X.CurrentTime, ACTION)
if not wait("XdndStatus")[1] & 1:
    send("XdndLeave")
    sys.exit("refused")
send("XdndDrop", 0, X.CurrentTime)
if not wait("XdndFinished")[1] & 1:
    sys.exit("refused")
