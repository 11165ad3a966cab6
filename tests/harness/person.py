# SPDX-License-Identifier: LGPL-2.1-or-later
"""A person with a browser, as far as lwa-sim's pages need one: reads a page's form, fills it in, submits it.

    answer = link(address, code, "alice", ca_file)     # the heading of the last page, "Done" if all went well
"""

import ssl
import urllib.error
import urllib.parse
import urllib.request
from html.parser import HTMLParser


class Page(HTMLParser):
    """The first heading, the paragraphs' text, and the form: its action, its fields as they stand, its buttons as
    (name, value, label)."""

    def __init__(self, address, text):
        super().__init__()
        self.address = address
        self.heading = ""
        self.notes = []
        self.action = None
        self.fields = {}
        self.choices = {}
        self.buttons = []
        self.select = None
        self.inside = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag in ("h1", "p", "li", "button"):
            self.inside = tag
        if tag in ("p", "li"):
            self.notes.append("")
        if tag == "form":
            self.action = urllib.parse.urljoin(self.address, attributes.get("action", ""))
        elif tag == "input":
            self.fields[attributes["name"]] = attributes.get("value", "")
        elif tag == "select":
            self.select = attributes["name"]
            self.choices[self.select] = []
        elif tag == "option":
            self.choices[self.select].append(attributes["value"])
            self.fields.setdefault(self.select, attributes["value"])
        elif tag == "button":
            self.buttons.append([attributes.get("name"), attributes.get("value"), ""])

    def handle_endtag(self, tag):
        if tag == self.inside:
            self.inside = None

    def handle_data(self, data):
        if self.inside == "h1":
            self.heading += data
        elif self.inside == "button":
            self.buttons[-1][2] += data
        elif self.inside and data.strip():
            self.notes[-1] += data


class Person:
    def __init__(self, ca_file):
        context = ssl.create_default_context(cafile=ca_file)
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        self.page = None

    def fetch(self, address, data=None):
        try:
            with self.opener.open(address, data, timeout=20) as reply:
                text = reply.read().decode()
                address = reply.geturl()  # where redirects have led to
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode()
        self.page = Page(address, text)
        return self.page

    open = fetch

    def submit(self, button, **typed):
        """Presses the button of this label; what is typed must be fields of the form."""
        page = self.page
        unknown = set(typed) - set(page.fields)
        pressed = next((entry for entry in page.buttons if entry[2].strip() == button), None)
        if unknown or not pressed:
            raise LookupError(f"the page '{page.heading}' has no {', '.join(unknown) or button}")
        fields = dict(page.fields, **typed)
        if pressed[0]:
            fields[pressed[0]] = pressed[1]
        return self.fetch(page.action, urllib.parse.urlencode(fields).encode())


def link(address, code, customer, ca_file, answer="Allow"):
    person = Person(ca_file)
    person.open(address)
    person.submit("Go on", user_code=code)
    return person.submit(answer, customer=customer).heading
