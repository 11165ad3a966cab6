# SPDX-License-Identifier: LGPL-2.1-or-later
"""lwa-sim as Login with Amazon is known to be: every endpoint, error body, page and fault, and input that is hostile to itself."""

import base64
import hashlib
import html
import http.client
import json
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "harness"))
from simulator import HARNESS, Simulator  # noqa: E402

NO_ANSWER = (OSError, http.client.HTTPException)
CODEPAIR = "/auth/o2/create/codepair"
TOKEN = "/auth/o2/token"
TOKENINFO = "/auth/o2/tokeninfo"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    simulator = Simulator(tmp_path_factory.mktemp("sim"))
    with simulator:
        yield simulator
    # An ASan build fails here on what it found, leaks included.
    assert simulator.process.returncode == 0, simulator.read_log()


@pytest.fixture
def sim(shared):
    shared.control("/reset")
    return shared


# --- helpers ---------------------------------------------------------------------------------------------


def pair(sim, scope="profile", **more):
    fields = {"response_type": "device_code", "client_id": sim.client_id, "scope": scope, **more}
    return sim.post(CODEPAIR, **fields)


def poll(sim, codes, **more):
    fields = {"grant_type": "device_code", "device_code": codes["device_code"], "user_code": codes["user_code"]}
    return sim.post(TOKEN, **{**fields, **more})


def refresh(sim, token, timeout=20, **more):
    fields = {"grant_type": "refresh_token", "refresh_token": token, "client_id": sim.client_id}
    return sim.post(TOKEN, timeout=timeout, **{**fields, **more})


def link(sim, scope="profile", customer="alice", **more):
    codes = pair(sim, scope, **more).json()
    sim.control("/approve", user_code=codes["user_code"], customer=customer)
    reply = poll(sim, codes)
    assert reply.status == 200
    return reply.json()


def mint(sim, scope="profile", **more):
    return sim.control("/mint", scope=scope, **more)["refresh_token"]


def access(sim, scope="profile", **more):
    return refresh(sim, mint(sim, scope, **more)).json()["access_token"]


def assert_error(reply, status, error, description=None):
    body = reply.json()
    assert (reply.status, body["error"]) == (status, error)
    assert isinstance(body["error_description"], str)
    if description is not None:
        assert body["error_description"] == description
    assert body["request_id"] == reply.headers["x-amzn-RequestId"]


def missing(name):
    return f"The request is missing a required parameter : {name}"


def without(fields, name):
    return {key: value for key, value in fields.items() if key != name}


# --- code pair -------------------------------------------------------------------------------------------


def test_codepair(sim):
    reply = pair(sim)
    body = reply.json()
    assert reply.status == 200
    assert set(body) == {"user_code", "device_code", "verification_uri", "expires_in", "interval"}
    assert re.fullmatch("[A-Z0-9]{6}", body["user_code"])
    assert re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", body["device_code"])
    assert body["verification_uri"] == sim.base + "/code"
    assert (body["expires_in"], body["interval"]) == (600, 5)
    assert re.fullmatch("[0-9a-f-]{36}", reply.headers["x-amzn-RequestId"])
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Pragma"] == "no-cache"
    assert reply.headers["Content-Type"] == "application/json;charset UTF-8"


def test_codepair_path_in_capitals(sim):
    reply = sim.post("/auth/O2/create/codepair", response_type="device_code", client_id=sim.client_id, scope="profile")
    assert reply.status == 200


def test_codepair_settings(sim):
    sim.control("/set", code_lifetime=77, interval=30)
    body = pair(sim).json()
    assert (body["expires_in"], body["interval"]) == (77, 30)


def test_codepair_errors(sim):
    good = {"response_type": "device_code", "client_id": sim.client_id, "scope": "profile"}
    for name in good:
        assert_error(sim.post(CODEPAIR, **without(good, name)), 400, "invalid_request", missing(name))
        assert_error(sim.post(CODEPAIR, **{**good, name: ""}), 400, "invalid_request", missing(name))
    assert_error(sim.post(CODEPAIR, **{**good, "response_type": "code"}), 400, "unsupported_response_type")
    assert_error(sim.post(CODEPAIR, **{**good, "client_id": "nobody"}), 400, "unauthorized_client",
                 "Not authorized for requested operation")
    assert_error(sim.post(CODEPAIR, **{**good, "scope": "profile nonsense"}), 400, "invalid_scope",
                 "The request has an invalid parameter : scope")
    assert_error(sim.request("POST", CODEPAIR, b"{}", {"Content-Type": "application/json"}), 400,
                 "invalid_request", "Malformed request")
    sim.control("/set", disabled_scopes="music::library profile")
    assert_error(sim.post(CODEPAIR, **good), 400, "invalid_scope")


def test_codepair_scope_data(sim):
    data = json.dumps({"alexa:all": {"productID": "speaker", "productInstanceAttributes": {}}})
    assert pair(sim, "alexa:all", scope_data=data).status == 200
    assert_error(pair(sim, "alexa:all"), 400, "invalid_request", missing("scope_data"))
    for bad in ("{", "7", "[" * 5000):
        assert_error(pair(sim, "alexa:all", scope_data=bad), 400, "invalid_request",
                     "The request has an invalid parameter : scope_data")


def test_codepair_scopes_may_be_repeated(sim):
    fields = [("response_type", "device_code"), ("client_id", sim.client_id), ("scope", "profile"),
              ("scope", "postal_code")]
    reply = sim.request("POST", CODEPAIR, urllib.parse.urlencode(fields).encode())
    assert reply.status == 200
    assert sim.state()["code_pairs"][0]["scope"] == "profile postal_code"


# --- poll ------------------------------------------------------------------------------------------------


def test_poll_pending_then_tokens(sim):
    codes = pair(sim).json()
    assert_error(poll(sim, codes), 400, "authorization_pending", "The code pair has not been authorized")
    sim.control("/approve", user_code=codes["user_code"])
    reply = poll(sim, codes)
    body = reply.json()
    assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert re.fullmatch(r"Atza\|[A-Za-z0-9_-]{350}", body["access_token"])
    assert re.fullmatch(r"Atzr\|[A-Za-z0-9_-]{400}", body["refresh_token"])
    assert (body["token_type"], body["expires_in"]) == ("bearer", 3600)
    assert reply.headers["Cache-Control"] == "no-store"
    assert_error(poll(sim, codes), 400, "invalid_code_pair")


def test_poll_denied(sim):
    codes = pair(sim).json()
    sim.control("/approve", user_code=codes["user_code"], answer="deny")
    assert_error(poll(sim, codes), 400, "access_denied")


def test_poll_expired(sim):
    sim.control("/set", code_lifetime=0)
    assert_error(poll(sim, pair(sim).json()), 400, "expired_token")


def test_poll_slow_down(sim):
    sim.control("/set", min_poll_interval=60)
    codes = pair(sim).json()
    assert_error(poll(sim, codes), 400, "authorization_pending")
    assert_error(poll(sim, codes), 400, "slow_down")
    sim.control("/set", min_poll_interval=0)
    assert_error(poll(sim, codes), 400, "authorization_pending")


def test_poll_errors(sim):
    codes = pair(sim).json()
    assert_error(poll(sim, codes, user_code=""), 400, "invalid_request", missing("user_code"))
    assert_error(poll(sim, codes, device_code=""), 400, "invalid_request", missing("device_code"))
    assert_error(poll(sim, codes, user_code="XXXXXX"), 400, "invalid_code_pair")
    assert_error(poll(sim, codes, device_code="unknown"), 400, "invalid_code_pair")


def test_web_client_links_and_fails_at_refresh(sim):
    tokens = link(sim, client_id=sim.web_client_id)
    reply = refresh(sim, tokens["refresh_token"], client_id=sim.web_client_id)
    assert_error(reply, 400, "invalid_request", missing("client_secret"))
    reply = refresh(sim, tokens["refresh_token"], client_id=sim.web_client_id, client_secret="wrong")
    assert_error(reply, 401, "invalid_client", "Client authentication failed")
    reply = refresh(sim, tokens["refresh_token"], client_id=sim.web_client_id, client_secret=sim.client_secret)
    assert reply.status == 200


def test_web_client_with_basic_authorization(sim):
    token = mint(sim, client_id=sim.web_client_id)
    pair_text = f"{sim.web_client_id}:{sim.client_secret}".encode()
    headers = {"Authorization": "Basic " + base64.b64encode(pair_text).decode()}
    reply = sim.post(TOKEN, headers=headers, grant_type="refresh_token", refresh_token=token)
    assert reply.status == 200
    for bad in ("Basic", "Basic !!!!", "Basic " + base64.b64encode(b"no colon").decode(),
                "Basic " + base64.b64encode(b"a\0b:c\0d").decode()):
        reply = sim.post(TOKEN, headers={"Authorization": bad}, grant_type="refresh_token", refresh_token=token)
        assert reply.status in (400, 401)


def test_client_type_setting(sim):
    tokens = link(sim)
    sim.control("/set", client_type="web")
    assert_error(refresh(sim, tokens["refresh_token"]), 400, "invalid_request", missing("client_secret"))
    sim.control("/set", client_type="device")
    assert refresh(sim, tokens["refresh_token"], client_secret="not needed").status == 200


# --- refresh ---------------------------------------------------------------------------------------------


def test_refresh_rotation_same(sim):
    token = mint(sim)
    body = refresh(sim, token).json()
    assert body["refresh_token"] == token
    assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in"}


def test_refresh_rotation_none(sim):
    sim.control("/set", rotation="none")
    assert "refresh_token" not in refresh(sim, mint(sim)).json()


def test_refresh_rotation_new(sim):
    sim.control("/set", rotation="new")
    first = mint(sim)
    second = refresh(sim, first).json()["refresh_token"]
    assert second != first
    assert refresh(sim, first).status == 200
    sim.control("/set", rotation_kills_old="yes")
    third = refresh(sim, second).json()["refresh_token"]
    assert_error(refresh(sim, second), 400, "invalid_grant",
                 "The request has an invalid grant parameter : refresh_token. "
                 "User may have revoked or didn't grant the permission.")
    assert refresh(sim, third).status == 200


def test_refresh_old_access_tokens_stay_good(sim):
    token = mint(sim)
    first = refresh(sim, token).json()["access_token"]
    refresh(sim, token)
    assert sim.get(TOKENINFO, access_token=first).status == 200


def test_refresh_ignores_scope(sim):
    token = mint(sim, "profile postal_code")
    for scope in ("profile:user_id", "nonsense", "music::library"):
        body = refresh(sim, token, scope=scope).json()
        profile = sim.get("/user/profile", access_token=body["access_token"]).json()
        assert set(profile) == {"user_id", "name", "email", "postal_code"}


def test_refresh_that_narrows(sim):
    """Not known to be what Amazon does; the grant itself stays as wide as it was."""
    token = mint(sim, "profile postal_code")
    sim.control("/set", narrowing="narrow")

    def fields(**form):
        body = refresh(sim, token, **form).json()
        return set(sim.get("/user/profile", access_token=body["access_token"]).json())

    assert fields(scope="profile:user_id") == {"user_id"}
    assert fields(scope="profile") == {"user_id", "name", "email"}
    assert fields() == {"user_id", "name", "email", "postal_code"}
    for scope in ("music::library", "nonsense"):
        assert_error(refresh(sim, token, scope=scope), 400, "invalid_scope", "The requested scope is not valid")


def test_refresh_that_refuses_scopes(sim):
    token = mint(sim, "profile postal_code")
    for narrowing, error in (("refuse", "invalid_scope"), ("grant", "invalid_grant")):
        sim.control("/set", narrowing=narrowing)
        assert refresh(sim, token, scope="profile").json()["error"] == error
        assert refresh(sim, token).status == 200


def test_refresh_forms(sim):
    sim.control("/set", expires_in_form="string", token_type="BEARER", token_lifetime=120)
    body = refresh(sim, mint(sim)).json()
    assert (body["expires_in"], body["token_type"]) == ("120", "BEARER")


def test_refresh_errors(sim):
    token = mint(sim)
    assert_error(refresh(sim, ""), 400, "invalid_request", missing("refresh_token"))
    assert_error(refresh(sim, token, client_id=""), 400, "invalid_request", missing("client_id"))
    assert_error(refresh(sim, token, client_id="nobody"), 401, "invalid_client")
    other_client = {"client_id": sim.web_client_id, "client_secret": sim.client_secret}
    assert_error(refresh(sim, token, **other_client), 400, "invalid_grant")
    assert_error(refresh(sim, "Atzr|made-up"), 400, "invalid_grant")
    access_token = refresh(sim, token).json()["access_token"]
    assert_error(refresh(sim, access_token), 400, "invalid_grant")


def test_token_request_errors(sim):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    unsupported = "The authorization grant type is not supported by the authorization server"
    assert_error(sim.post(TOKEN), 400, "invalid_request", missing("grant_type"))
    for name in ("password", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code"):
        assert_error(sim.post(TOKEN, grant_type=name), 400, "unsupported_grant_type", unsupported)
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    assert_error(sim.request("POST", TOKEN, b"--x--", multipart), 400, "unsupported_grant_type", unsupported)
    for bad in (b"grant_type=%zz", b"grant_type=%0", b"grant_type=%", b"grant_type=a%00b", b"grant_type=%ff%fe",
                b"grant_type=%ed%a0%80", b"grant_type=%c0%af", b"grant_type=%f5%80%80%80", b"grant_type=\xff",
                b"grant_type=a\0b", b"a=1&a=2", b"&".join(b"a%d=1" % i for i in range(129))):
        assert_error(sim.request("POST", TOKEN, bad, form), 400, "invalid_request", "Malformed request")
    text = {"Content-Type": "text/plain"}
    assert_error(sim.request("POST", TOKEN, b"grant_type=refresh_token", text), 400, "invalid_request",
                 "Malformed request")


def test_revoke(sim):
    alice, alice_too, bob = mint(sim), mint(sim), mint(sim, customer="bob")
    assert sim.control("/revoke", refresh_token=alice)["revoked"] == 1
    assert_error(refresh(sim, alice), 400, "invalid_grant")
    assert refresh(sim, alice_too).status == 200
    assert sim.control("/revoke", customer="alice")["revoked"] == 1
    assert_error(refresh(sim, alice_too), 400, "invalid_grant")
    assert refresh(sim, bob).status == 200


def test_delay(sim):
    sim.control("/set", delay_ms=300)
    start = time.monotonic()
    refresh(sim, mint(sim))
    assert time.monotonic() - start >= 0.3


# --- tokeninfo and profile -------------------------------------------------------------------------------


def test_tokeninfo(sim):
    token = access(sim, customer="bob")
    for reply in (sim.get(TOKENINFO, access_token=token),
                  sim.get(TOKENINFO, headers={"x-amz-access-token": token})):
        body = reply.json()
        assert set(body) == {"iss", "user_id", "aud", "app_id", "exp", "iat"}
        assert body["iss"] == "https://www.amazon.com"
        assert body["aud"] == sim.client_id
        assert body["app_id"] == sim.security_profile_id
        assert body["user_id"].startswith("amzn1.account.")
        assert 3500 < body["exp"] <= 3600
        assert abs(body["iat"] - time.time()) < 60


def test_tokeninfo_user_id_is_the_customers(sim):
    ids = {name: sim.get(TOKENINFO, access_token=access(sim, customer=name)).json()["user_id"]
           for name in ("alice", "bob", "somebody new", "alice")}
    assert len(set(ids.values())) == 3


def test_tokeninfo_errors(sim):
    token = access(sim)
    assert_error(sim.get(TOKENINFO), 400, "invalid_request", missing("access_token"))
    assert_error(sim.get(TOKENINFO, access_token="Atza|made-up"), 400, "invalid_token")
    assert_error(sim.get(TOKENINFO, access_token=mint(sim)), 400, "invalid_token")
    sim.control("/expire-tokens")
    assert_error(sim.get(TOKENINFO, access_token=token), 400, "invalid_token")
    sim.control("/set", token_lifetime=0)
    assert_error(sim.get(TOKENINFO, access_token=access(sim)), 400, "invalid_token")


@pytest.mark.parametrize("scope, members", [
    ("profile", {"user_id", "name", "email"}),
    ("profile:user_id", {"user_id"}),
    ("profile postal_code", {"user_id", "name", "email", "postal_code"}),
    ("profile:user_id postal_code", {"user_id", "postal_code"}),
])
def test_profile(sim, scope, members):
    token = access(sim, scope)
    for reply in (sim.get("/user/profile", access_token=token),
                  sim.get("/user/profile", headers={"x-amz-access-token": token}),
                  sim.get("/user/profile", headers={"Authorization": "bearer " + token})):
        assert reply.status == 200
        assert set(reply.json()) == members


def test_profile_errors(sim):
    assert_error(sim.get("/user/profile"), 400, "invalid_request", missing("access_token"))
    assert_error(sim.get("/user/profile", access_token="x"), 400, "invalid_token")
    assert_error(sim.get("/user/profile", access_token=access(sim, "music::library")), 401, "insufficient_scope")


# --- the person's pages ----------------------------------------------------------------------------------


def page_token(reply):
    return html.unescape(re.search('name="page_token" value="([^"]+)"', reply.text).group(1))


def type_code(sim, code):
    return sim.post("/code", page_token=page_token(sim.get("/code")), user_code=code)


def test_pages_allow(sim):
    codes = pair(sim, "profile music::library").json()
    first = sim.get("/code")
    assert first.status == 200
    assert first.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in first.headers["Content-Security-Policy"]
    assert "<script" not in first.text and 'name="viewport"' in first.text
    # Typed as people type: small letters, a dash, spaces.
    typed = f" {codes['user_code'][:3].lower()}-{codes['user_code'][3:].lower()} "
    consent = type_code(sim, typed)
    assert consent.status == 200
    assert sim.client_id in consent.text
    assert "see and change your playlists and your library" in consent.text
    assert 'value="alice"' in consent.text and 'value="bob"' in consent.text
    done = sim.post("/code", page_token=page_token(consent), customer="bob", answer="allow")
    assert done.status == 200 and "linked" in done.text
    tokens = poll(sim, codes).json()
    assert sim.get("/user/profile", access_token=tokens["access_token"]).json()["name"] == "Bob Example"


def test_pages_deny(sim):
    codes = pair(sim).json()
    consent = type_code(sim, codes["user_code"])
    done = sim.post("/code", page_token=page_token(consent), customer="bob", answer="deny")
    assert done.status == 200 and "not linked" in done.text
    assert_error(poll(sim, codes), 400, "access_denied")
    assert type_code(sim, codes["user_code"]).status == 400


def test_pages_need_their_token(sim):
    codes = pair(sim).json()
    consent = type_code(sim, codes["user_code"])
    for token in ("", "forged", page_token(sim.get("/code"))):
        reply = sim.post("/code", page_token=token, customer="bob", answer="allow")
        assert reply.status in (400, 403)
        assert_error(poll(sim, codes), 400, "authorization_pending")
    token = page_token(consent)
    assert sim.post("/code", page_token=token, answer="allow").status == 400
    reply = sim.post("/code", page_token=token, customer="bob", answer="allow")
    assert reply.status == 403, "a page token must work once only"
    assert_error(poll(sim, codes), 400, "authorization_pending")


def test_pages_unknown_and_expired_codes(sim):
    for code in ("", "AAAAAA", "A" * 60000, "\u00e9\u00e9\u00e9"):
        assert type_code(sim, code).status == 400
    sim.control("/set", code_lifetime=0)
    assert type_code(sim, pair(sim).json()["user_code"]).status == 400


def test_pages_code_expires_meanwhile(sim):
    sim.control("/set", code_lifetime=1)
    codes = pair(sim).json()
    consent = type_code(sim, codes["user_code"])
    assert consent.status == 200
    time.sleep(1.1)
    assert sim.post("/code", page_token=page_token(consent), customer="bob", answer="allow").status == 400


def test_pages_escape(sim):
    hostile = "\"'><script>alert(1)</script>&amp;"
    for reply in (type_code(sim, hostile), sim.get("/code", user_code=hostile)):
        assert "<script" not in reply.text
        assert "&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;" in reply.text
    sim.control("/mint", customer=hostile, scope="profile")
    consent = type_code(sim, pair(sim).json()["user_code"])
    assert consent.status == 200
    assert "<script" not in consent.text and "&lt;script&gt;" in consent.text


def test_pages_unknown_product(sim):
    codes = pair(sim, "alexa:all", scope_data='{"alexa:all":{}}').json()
    reply = type_code(sim, codes["user_code"])
    assert reply.status == 400 and "We&#39;re sorry!" in reply.text
    assert_error(poll(sim, codes), 400, "authorization_pending")


def test_pages_malformed_form(sim):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body, headers in ((b"page_token=%ff", form), (b"{}", {"Content-Type": "application/json"})):
        assert sim.request("POST", "/code", body, headers).status == 400
    assert sim.request("POST", "/ap/oa", b"page_token=%ff", form).status == 403


def test_root_leads_to_the_code_page(sim):
    reply = sim.get("/")
    assert (reply.status, reply.headers["Location"]) == (303, sim.base + "/code")


# --- authorization code ----------------------------------------------------------------------------------

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
REDIRECT = "http://127.0.0.1:9090/cb"


def authorize_query(sim, **changes):
    query = {"client_id": sim.client_id, "scope": "profile music::library:read", "response_type": "code",
             "redirect_uri": REDIRECT, "state": "a state & more", "code_challenge": CHALLENGE,
             "code_challenge_method": "S256"}
    return {name: value for name, value in {**query, **changes}.items() if value is not None}


def authorize(sim, answer="allow", **changes):
    """Goes through the pages and returns the query of the redirect."""
    consent = sim.get("/ap/oa", **authorize_query(sim, **changes))
    assert consent.status == 200
    reply = sim.post("/ap/oa", page_token=page_token(consent), customer="carol", answer=answer)
    assert reply.status == 302
    location = reply.headers["Location"]
    assert location.startswith(changes.get("redirect_uri", REDIRECT))
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))


def redeem(sim, value, **changes):
    fields = {"grant_type": "authorization_code", "code": value, "redirect_uri": REDIRECT,
              "client_id": sim.client_id, "code_verifier": VERIFIER, **changes}
    return sim.post(TOKEN, **{name: value for name, value in fields.items() if value is not None})


def test_authorization_code(sim):
    query = authorize(sim)
    assert set(query) == {"code", "scope", "state"}
    assert (query["scope"], query["state"]) == ("profile music::library:read", "a state & more")
    body = redeem(sim, query["code"]).json()
    assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in"}
    profile = sim.get("/user/profile", access_token=body["access_token"]).json()
    assert profile["name"] == "Carol Example"
    assert refresh(sim, body["refresh_token"]).status == 200
    assert_error(redeem(sim, query["code"]), 400, "invalid_grant",
                 "The request has an invalid grant parameter : code")


def test_authorization_code_denied(sim):
    query = authorize(sim, answer="deny")
    assert set(query) == {"error", "error_description", "state"}
    assert query["error"] == "access_denied"


def test_authorization_code_of_another(sim):
    for changes in ({"code_verifier": "w" * 43}, {"code_verifier": None}, {"redirect_uri": REDIRECT + "x"},
                    {"client_id": sim.web_client_id, "client_secret": sim.client_secret}):
        assert_error(redeem(sim, authorize(sim)["code"], **changes), 400, "invalid_grant")
    for name in ("code", "redirect_uri", "client_id"):
        assert_error(redeem(sim, "x", **{name: None}), 400, "invalid_request", missing(name))


def test_authorization_code_plain_challenge(sim):
    query = authorize(sim, code_challenge=VERIFIER, code_challenge_method=None, state=None)
    assert set(query) == {"code", "scope"}
    assert redeem(sim, query["code"]).status == 200


def test_authorization_code_of_a_web_client(sim):
    web = {"client_id": sim.web_client_id}
    body = redeem(sim, authorize(sim, **web)["code"], **web).json()
    assert "refresh_token" not in body
    body = redeem(sim, authorize(sim, **web)["code"], client_secret=sim.client_secret, **web).json()
    assert "refresh_token" in body
    no_pkce = {**web, "code_challenge": None, "code_challenge_method": None}
    assert_error(redeem(sim, authorize(sim, **no_pkce)["code"], code_verifier=None, **web), 400,
                 "invalid_request", missing("client_secret"))


VOLUNTARY = json.dumps({"profile": {"essential": False}, "music::library:read": {"essential": True}})


def authorize_as(sim, deselect="", answer="allow", **changes):
    """The query of the redirect, without the pages."""
    uri = sim.base + "/ap/oa?" + urllib.parse.urlencode(authorize_query(sim, **changes))
    location = sim.control("/authorize-as", uri=uri, customer="carol", answer=answer, deselect=deselect)["location"]
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query, keep_blank_values=True))


def test_voluntary_scopes_can_be_deselected(sim):
    consent = sim.get("/ap/oa", **authorize_query(sim, scope_data=VOLUNTARY))
    boxes = re.findall(r'<input type="checkbox" checked name="keep" value="([^"]*)">', consent.text)
    assert boxes == ["profile"]
    for keep, scope in ((["profile"], "profile music::library:read"), ([], "music::library:read")):
        consent = sim.get("/ap/oa", **authorize_query(sim, scope_data=VOLUNTARY))
        fields = [("page_token", page_token(consent)), ("customer", "carol"), ("answer", "allow")]
        data = urllib.parse.urlencode(fields + [("keep", name) for name in keep]).encode()
        reply = sim.request("POST", "/ap/oa", data, {"Content-Type": "application/x-www-form-urlencoded"})
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(reply.headers["Location"]).query))
        assert query["scope"] == scope
        token = redeem(sim, query["code"]).json()["access_token"]
        assert sim.get("/user/profile", access_token=token).status == (200 if keep else 401)
    # An essential one stays, whatever the form says.
    assert authorize(sim, scope_data=VOLUNTARY)["scope"] == "music::library:read"
    assert "checkbox" not in sim.get("/ap/oa", **authorize_query(sim)).text
    reply = sim.get("/ap/oa", **authorize_query(sim, scope_data="[]"))
    assert reply.status == 400 and "The scope data is not valid" in reply.text


def test_authorize_as(sim):
    query = authorize_as(sim)
    assert (query["scope"], query["state"]) == ("profile music::library:read", "a state & more")
    body = redeem(sim, query["code"]).json()
    assert sim.get("/user/profile", access_token=body["access_token"]).json()["name"] == "Carol Example"
    assert authorize_as(sim, answer="deny")["error"] == "access_denied"
    assert authorize_as(sim, "profile", scope_data=VOLUNTARY)["scope"] == "music::library:read"
    assert authorize_as(sim, "profile", scope="profile", scope_data=VOLUNTARY)["scope"] == ""
    app = authorize_as(sim, redirect_uri="amzn://com.example.app")
    assert redeem(sim, app["code"], redirect_uri="amzn://com.example.app").status == 200
    for changes in ({"scope": "nonsense"}, {"client_id": "nobody"}, {"scope_data": "{"}, {"redirect_uri": "x:y"}):
        with pytest.raises(ValueError, match="400 Bad Request"):
            authorize_as(sim, **changes)
    for wrong in ({"uri": "https://elsewhere/ap/oa?x=y"}, {"answer": "perhaps"}, {"deselect": "nonsense"},
                  {"deselect": "profile"}):
        uri = sim.base + "/ap/oa?" + urllib.parse.urlencode(authorize_query(sim))
        with pytest.raises(ValueError, match=next(iter(wrong))):
            sim.control("/authorize-as", **{"uri": uri, **wrong})


def test_authorization_code_expires(sim):
    sim.control("/set", auth_code_lifetime=0)
    assert_error(redeem(sim, authorize_as(sim)["code"]), 400, "invalid_grant")
    sim.control("/set", auth_code_lifetime=300)
    assert redeem(sim, authorize_as(sim)["code"]).status == 200


def test_wrong_region(sim):
    """Everything works but the first refresh, as where the region's host is another's."""
    sim.control("/set", wrong_region="yes")
    tokens = redeem(sim, authorize_as(sim)["code"]).json()
    assert_error(refresh(sim, tokens["refresh_token"]), 400, "invalid_grant")
    sim.control("/set", wrong_region="no")
    assert refresh(sim, tokens["refresh_token"]).status == 200


def test_authorize_redirect_with_a_query(sim):
    query = authorize(sim, redirect_uri="https://app.example/cb?a=b")
    assert query["a"] == "b" and query["code"]


def test_authorize_errors_are_shown_and_not_redirected(sim):
    wrong = [{"scope": "nonsense"}, {"scope": None}, {"client_id": "nobody"}, {"redirect_uri": None},
             {"redirect_uri": "http://evil.example/cb"}, {"redirect_uri": "https://a.example/#x"},
             {"redirect_uri": "https://a.example/\r\nX: y"}, {"redirect_uri": "https://"},
             {"redirect_uri": "http://127.0.0.1.evil.example/"}, {"response_type": "token"},
             {"code_challenge_method": "S512"}, {"state": "s" * 3000}]
    for changes in wrong:
        reply = sim.get("/ap/oa", **authorize_query(sim, **changes))
        assert reply.status == 400 and reply.headers["Location"] is None
        assert "400 Bad Request" in reply.text
    assert "An unknown scope was requested" in sim.get("/ap/oa", **authorize_query(sim, scope="nonsense")).text


def test_authorize_needs_its_page(sim):
    assert sim.post("/ap/oa", page_token="forged", customer="bob", answer="allow").status == 403
    consent = sim.get("/ap/oa", **authorize_query(sim))
    assert sim.post("/code", page_token=page_token(consent), customer="bob", answer="allow").status == 403
    token = page_token(consent)
    assert sim.post("/ap/oa", page_token=token, customer="bob").status == 400
    assert sim.post("/ap/oa", page_token=token, customer="bob", answer="allow").status == 403


# --- Amazon Music ----------------------------------------------------------------------------------------


def music(sim, token, method, path, body=None, key="good"):
    headers = {}
    if token is not None:
        headers["Authorization"] = "Bearer " + token
    if key is not None:
        headers["x-api-key"] = sim.security_profile_id if key == "good" else key
    if body is not None:
        headers["Content-Type"] = "application/json"
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return sim.request(method, path, body, headers)


def assert_api_error(reply, status, code):
    error = reply.json()["error"]
    assert (reply.status, error["status"], error["code"]) == (status, str(status), code)
    assert error["message"]


ROUTES = [
    ("GET", "/v1/me", "music::profile:read", "music::profile"),
    ("GET", "/v1/me/playlists", "music::library:read", "music::library"),
    ("POST", "/v1/playlists", "music::library", None),
    ("GET", "/v1/playlists/ID", "music::library:read", "music::library"),
    ("GET", "/v1/playlists/ID/tracks", "music::library:read", "music::library"),
    ("PUT", "/v1/playlists/ID/tracks", "music::library", None),
    ("DELETE", "/v1/playlists/ID", "music::library", None),
    ("GET", "/v1/me/tracks", "music::favorites:read", "music::favorites"),
    ("GET", "/v1/tracks?ids=B0SIM00000,B0SIM00003", "music::catalog", None),
    ("GET", "/v1/tracks/B0SIM00001", "music::catalog", None),
    ("POST", "/v1/search/tracks", "music::catalog", None),
    ("GET", "/v1/player/recentlyPlayed", "music::history", None),
]
BODIES = {
    "/v1/playlists": {"title": "Mine", "description": "d", "visibility": "PUBLIC"},
    "/v1/playlists/ID/tracks": {"trackIds": ["B0SIM00001"]},
    "/v1/search/tracks": {"searchFilters": [{"field": "title", "query": "tide"}], "limit": 5},
}
ALL_MUSIC = ("music::catalog music::favorites music::favorites:read music::history music::library "
             "music::library:read music::playback music::profile music::profile:read music::recommendation")


@pytest.mark.parametrize("method, path, scope, wider", ROUTES)
def test_music_scopes(sim, method, path, scope, wider):
    body = BODIES.get(path) if method in ("POST", "PUT") else None

    def call(token_scope):
        library = access(sim, "music::library")
        edges = music(sim, library, "GET", "/v1/me/playlists").json()["data"]["playlists"]["edges"]
        real = path.replace("ID", edges[0]["node"]["id"])
        return music(sim, access(sim, token_scope), method, real, body)

    for good in filter(None, (scope, wider, ALL_MUSIC)):
        assert call(good).status in (200, 201, 204), good
    enough = {scope, wider}
    others = " ".join(name for name in ALL_MUSIC.split() if name not in enough)
    assert_api_error(call(others), 403, "ACCESS_DENIED")
    if wider is None and scope + ":read" in ALL_MUSIC:
        assert_api_error(call(scope + ":read"), 403, "ACCESS_DENIED")


def test_music_authentication(sim):
    token = access(sim, ALL_MUSIC)
    key = {"x-api-key": sim.security_profile_id}
    assert_api_error(sim.get("/v1/me", headers=key), 401, "INVALID_AUTH_TYPE")
    assert_api_error(sim.get("/v1/me", headers={**key, "Authorization": "Basic eDp5"}), 401, "INVALID_AUTH_TYPE")
    assert_api_error(sim.get("/v1/me", headers={**key, "Authorization": "Bearerx y"}), 401, "INVALID_AUTH_TYPE")
    assert_api_error(sim.get("/v1/me", headers={**key, "Authorization": "Bearer"}), 401, "INVALID_AUTH_TOKEN")
    assert_api_error(music(sim, "", "GET", "/v1/me"), 401, "INVALID_AUTH_TOKEN")
    assert_api_error(music(sim, "Atza|x", "GET", "/v1/me"), 401, "INVALID_ACCESS_TOKEN")
    assert_api_error(music(sim, mint(sim, ALL_MUSIC), "GET", "/v1/me"), 401, "INVALID_ACCESS_TOKEN")
    assert_api_error(music(sim, token, "GET", "/v1/me", key=None), 401, "NO_X_API_KEY")
    assert_api_error(music(sim, token, "GET", "/v1/me", key=sim.client_id), 401, "INVALID_CLIENT_ID")
    assert music(sim, token, "GET", "/v1/me").status == 200
    sim.control("/expire-tokens")
    assert_api_error(music(sim, token, "GET", "/v1/me"), 401, "INVALID_ACCESS_TOKEN")


def test_music_not_found(sim):
    token = access(sim, ALL_MUSIC)
    for method, path in (("GET", "/v1/"), ("GET", "/v1/nothing"), ("DELETE", "/v1/me"), ("GET", "/v1/playlists/"),
                         ("GET", "/v1/playlists/none"), ("DELETE", "/v1/playlists/none"),
                         ("GET", "/v1/playlists/none/tracks"), ("GET", "/v1/playlists/a/b/tracks"),
                         ("GET", "/v1/playlists/" + "x" * 200), ("GET", "/v1/tracks/B0SIM09999"),
                         ("GET", "/v1/tracks/B0SIM0-1  ".strip())):
        assert_api_error(music(sim, token, method, path), 404, "RESOURCE_NOT_FOUND")


def test_music_playlists(sim):
    token = access(sim, "music::library")
    made = music(sim, token, "POST", "/v1/playlists", BODIES["/v1/playlists"])
    assert made.status == 201
    playlist = made.json()["data"]["playlist"]
    assert (playlist["title"], playlist["visibility"], playlist["trackCount"]) == ("Mine", "PUBLIC", 0)
    path = "/v1/playlists/" + playlist["id"]
    ids = {"trackIds": ["B0SIM00002", "B0SIM00004"]}
    assert music(sim, token, "PUT", path + "/tracks", ids).json()["data"]["playlist"]["trackCount"] == 2
    edges = music(sim, token, "GET", path + "/tracks").json()["data"]["tracks"]["edges"]
    assert [edge["node"]["id"] for edge in edges] == ids["trackIds"]
    other = access(sim, "music::library", customer="bob")
    assert_api_error(music(sim, other, "GET", path), 404, "RESOURCE_NOT_FOUND")
    deleted = music(sim, token, "DELETE", path)
    assert (deleted.status, deleted.body) == (204, b"")
    assert_api_error(music(sim, token, "GET", path), 404, "RESOURCE_NOT_FOUND")


def test_music_paging(sim):
    token = access(sim, "music::library")
    seen, cursor = [], ""
    for _ in range(10):
        page = music(sim, token, "GET", "/v1/me/playlists?limit=2" + cursor).json()["data"]["playlists"]
        seen += [edge["node"]["title"] for edge in page["edges"]]
        assert page["edgeCount"] == len(page["edges"])
        if not page["pageInfo"]["hasNextPage"]:
            break
        cursor = "&cursor=" + page["pageInfo"]["token"]
    assert seen == ["Morning walk", "Sunday kitchen", "Quiet evening"]
    for query in ("limit=0", "limit=101", "limit=x", "limit=-1", "cursor=1", "cursor=cx", "cursor=c99999999999"):
        assert_api_error(music(sim, token, "GET", "/v1/me/playlists?" + query), 400, "BAD_REQUEST")
    page = music(sim, token, "GET", "/v1/me/playlists?cursor=c4294967295").json()["data"]["playlists"]
    assert page["edges"] == [] and not page["pageInfo"]["hasNextPage"]


def test_music_bad_bodies(sim):
    token = access(sim, ALL_MUSIC)
    playlist = music(sim, token, "GET", "/v1/me/playlists").json()["data"]["playlists"]["edges"][0]["node"]["id"]
    bad = [b"", b"{", b"[]", b"null", b"[" * 60000, b'{"title":"\xff"}', b"{}x", {"title": ""}, {"title": 7},
           {"title": "x" * 300}, {"title": "a\0b"}, {"title": "t", "visibility": "SECRET"}, {"title": None},
           {"title": "t", "description": {}}]
    for body in bad:
        assert_api_error(music(sim, token, "POST", "/v1/playlists", body), 400, "BAD_REQUEST")
    for body in ({}, {"trackIds": "x"}, {"trackIds": []}, {"trackIds": ["x"]}, {"trackIds": [1]},
                 {"trackIds": ["B0SIM00001"] * 501}):
        assert_api_error(music(sim, token, "PUT", f"/v1/playlists/{playlist}/tracks", body), 400, "BAD_REQUEST")
    for body in ({}, {"searchFilters": []}, {"searchFilters": [7]}, {"searchFilters": {"query": "x"}},
                 {"searchFilters": [{"query": 1}]}, {"searchFilters": [{"query": "x"}], "limit": 21}):
        assert_api_error(music(sim, token, "POST", "/v1/search/tracks", body), 400, "BAD_REQUEST")
    for query in ("", "ids=", "ids=" + ",".join(["B0SIM00001"] * 101)):
        assert_api_error(music(sim, token, "GET", "/v1/tracks?" + query), 400, "BAD_REQUEST")


def test_music_too_many_playlists(sim):
    token = access(sim, "music::library")
    connection = http.client.HTTPSConnection("localhost", sim.port, context=sim.tls, timeout=20)
    headers = {"Authorization": "Bearer " + token, "x-api-key": sim.security_profile_id}
    statuses = []
    for _ in range(498):
        connection.request("POST", "/v1/playlists", b'{"title":"t"}', headers)
        reply = connection.getresponse()
        reply.read()
        statuses.append(reply.status)
    connection.close()
    assert statuses == [201] * 497 + [422]


def test_music_answers(sim):
    token = access(sim, ALL_MUSIC)
    me = music(sim, token, "GET", "/v1/me").json()["data"]["user"]
    assert me["id"].startswith("amzn1.account.") and me["name"] == "Alice Example"
    tracks = music(sim, token, "GET", "/v1/tracks?ids=B0SIM00000,none,B0SIM00003").json()["data"]["tracks"]
    assert [track["id"] for track in tracks] == ["B0SIM00000", "B0SIM00003"]
    assert music(sim, token, "GET", "/v1/tracks/B0SIM00001").json()["data"]["track"]["title"] == "Low Tide"
    found = music(sim, token, "POST", "/v1/search/tracks", BODIES["/v1/search/tracks"]).json()
    assert [edge["node"]["title"] for edge in found["data"]["searchTracks"]["edges"]] == ["Low Tide"]
    assert music(sim, token, "GET", "/v1/me/tracks").json()["data"]["tracks"]["edges"]
    assert music(sim, token, "GET", "/v1/player/recentlyPlayed?limit=60").status == 200
    assert_api_error(music(sim, token, "GET", "/v1/player/recentlyPlayed?limit=61"), 400, "BAD_REQUEST")


# --- faults ----------------------------------------------------------------------------------------------


def call_endpoint(sim, endpoint, timeout=20):
    token = access(sim, "profile music::library")
    if endpoint == "codepair":
        return pair(sim)
    if endpoint == "token":
        return refresh(sim, mint(sim), timeout=timeout)
    if endpoint == "tokeninfo":
        return sim.get(TOKENINFO, access_token=token)
    if endpoint == "profile":
        return sim.get("/user/profile", access_token=token)
    return music(sim, token, "GET", "/v1/me/playlists")


def faulty(sim, kind, **more):
    """Orders the fault for the next refresh and makes it."""
    token = mint(sim)
    sim.control("/fault", endpoint="token", grant_type="refresh_token", kind=kind, **more)
    return refresh(sim, token)


@pytest.mark.parametrize("endpoint", ["codepair", "token", "tokeninfo", "profile", "api"])
def test_fault_of_each_endpoint(sim, endpoint):
    if endpoint == "token":
        sim.control("/fault", endpoint=endpoint, kind="html-502", count=2)
        assert refresh(sim, mint(sim)).status == 502
    else:
        sim.control("/fault", endpoint=endpoint, kind="html-502", count=2)
        assert call_endpoint(sim, endpoint).status == 502
    # The second use is the last.
    if endpoint == "token":
        assert refresh(sim, mint(sim)).status == 502
    else:
        assert call_endpoint(sim, endpoint).status == 502
    assert call_endpoint(sim, endpoint).status == 200
    names = [name for name in sim.state()["counters"] if name.startswith(endpoint) and name.endswith(".fault")]
    assert [sim.counter(name) for name in names] == [2]
    assert sim.state()["faults"] == []


def test_fault_any_grant_type_and_order(sim):
    token, codes = mint(sim), pair(sim).json()
    sim.control("/fault", endpoint="token", grant_type="device_code", kind="status-503", count=0)
    sim.control("/fault", endpoint="any", kind="status-500", count=0)
    assert refresh(sim, token).status == 500
    assert poll(sim, codes).status == 503
    assert pair(sim).status == 500
    assert sim.get("/code").status == 200, "pages never fail"
    assert [fault["kind"] for fault in sim.state()["faults"]] == ["status-", "status-"]
    sim.control("/clear-faults")
    assert refresh(sim, token).status == 200


def test_fault_status_and_error(sim):
    assert_error(faulty(sim, "status-500"), 500, "ServerError")
    assert_error(faulty(sim, "status-403"), 403, "invalid_request")
    assert_error(faulty(sim, "error", error="servererror", status=503), 503, "servererror")
    assert_error(faulty(sim, "error", error="invalid_client", status=401, description="Client authentication failed"),
                 401, "invalid_client", "Client authentication failed")
    assert_error(faulty(sim, "error", error="slow_down"), 400, "slow_down")
    assert faulty(sim, "status-503", retry_after="7").headers["Retry-After"] == "7"


def test_fault_does_no_work(sim):
    sim.control("/set", rotation="new", rotation_kills_old="yes")
    token = mint(sim)
    for kind in ("status-500", "html-502", "empty-200", "reset", "huge"):
        before = len(sim.tokens()["refresh"])
        sim.control("/fault", endpoint="token", kind=kind)
        try:
            refresh(sim, token)
        except NO_ANSWER:
            pass
        assert len(sim.tokens()["refresh"]) == before
    assert refresh(sim, token).status == 200
    assert sim.counter("token.refresh_token.ok") == 1


def test_fault_html(sim):
    for kind, status in (("html-502", 502), ("html-200", 200)):
        reply = faulty(sim, kind)
        assert reply.status == status and reply.headers["Content-Type"].startswith("text/html")
        assert "<html" in reply.text


def test_fault_429(sim):
    reply = faulty(sim, "http-429", retry_after="120")
    assert (reply.status, reply.headers["Retry-After"]) == (429, "120")
    assert faulty(sim, "http-429").headers["Retry-After"] is None
    token = access(sim, "music::library")
    sim.control("/fault", endpoint="api", kind="http-429", retry_after="3")
    reply = music(sim, token, "GET", "/v1/me/playlists")
    assert_api_error(reply, 429, "THROTTLED")
    assert reply.headers["Retry-After"] == "3"


def test_fault_api_errors(sim):
    token = access(sim, "music::library")
    for fields, status, code in (({"kind": "status-500"}, 500, "INTERNAL"),
                                 ({"kind": "error", "error": "AUTH_NO_MUSIC_ACCOUNT_FOUND", "status": 403}, 403,
                                  "AUTH_NO_MUSIC_ACCOUNT_FOUND")):
        sim.control("/fault", endpoint="api", **fields)
        assert_api_error(music(sim, token, "GET", "/v1/me/playlists"), status, code)


def test_fault_resets(sim):
    sim.control("/set", rotation="new", rotation_kills_old="yes")
    for kind, is_done in (("reset", False), ("reset-after", True)):
        token = mint(sim)
        sim.control("/fault", endpoint="token", kind=kind)
        with pytest.raises(NO_ANSWER):
            refresh(sim, token)
        assert refresh(sim, token).status == (400 if is_done else 200)


def test_fault_reset_is_a_tcp_reset(sim):
    sim.control("/fault", endpoint="any", kind="reset")
    with socket.create_connection(("127.0.0.1", sim.port), 10) as plain:
        with sim.tls.wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(b"GET /user/profile HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with pytest.raises(OSError):
                if tls.recv(1) == b"":
                    raise ConnectionResetError
            assert plain is not tls


def test_fault_hangs(sim):
    sim.control("/set", rotation="new", rotation_kills_old="yes")
    for kind, is_done in (("hang-before", False), ("hang-after", True)):
        token = mint(sim)
        sim.control("/fault", endpoint="token", kind=kind, ms=400)
        start = time.monotonic()
        with pytest.raises(NO_ANSWER):
            refresh(sim, token)
        assert time.monotonic() - start >= 0.4
        assert refresh(sim, token).status == (400 if is_done else 200)


def test_fault_hang_stalls_nobody_and_is_released(sim):
    token = mint(sim)
    sim.control("/fault", endpoint="token", kind="hang-before")
    outcome = []

    def hang():
        try:
            outcome.append(refresh(sim, token, timeout=60))
        except NO_ANSWER as error:
            outcome.append(error)

    thread = threading.Thread(target=hang)
    thread.start()
    deadline = time.monotonic() + 10
    while sim.state()["refreshes_under_way"] == 0:
        assert time.monotonic() < deadline
    start = time.monotonic()
    assert refresh(sim, token).status == 200
    assert time.monotonic() - start < 5
    state = sim.state()
    assert (state["refreshes_under_way"], state["refreshes_at_once_max"]) == (1, 2)
    sim.control("/clear-faults")
    thread.join(10)
    assert not thread.is_alive() and isinstance(outcome[0], NO_ANSWER)
    assert sim.state()["refreshes_under_way"] == 0


def test_fault_delay(sim):
    start = time.monotonic()
    assert faulty(sim, "delay", ms=300).status == 200
    assert time.monotonic() - start >= 0.3


def test_fault_truncated(sim):
    sim.control("/set", rotation="new", rotation_kills_old="yes")
    token = mint(sim)
    sim.control("/fault", endpoint="token", kind="truncated")
    with pytest.raises((http.client.IncompleteRead, ssl.SSLError, ConnectionError)) as caught:
        refresh(sim, token)
    if caught.type is http.client.IncompleteRead:
        assert b"access_token" in caught.value.partial
    assert_error(refresh(sim, token), 400, "invalid_grant")


def test_fault_bodies(sim):
    assert len(faulty(sim, "huge").body) == 16 << 20
    nested = faulty(sim, "nested").body
    assert nested.count(b"[") == nested.count(b"]") == 10000
    duplicate = faulty(sim, "duplicate-keys").text
    assert duplicate.count('"access_token"') == 2 and json.loads(duplicate)
    wrong = faulty(sim, "wrong-types").json()
    assert not isinstance(wrong["access_token"], str) and not isinstance(wrong["user_code"], str)
    empty = faulty(sim, "empty-200")
    assert (empty.status, empty.body) == (200, b"")
    nasty = faulty(sim, "nul-and-percent")
    assert nasty.status == 200
    for piece in (b"\\u0000", b"%s", b"%n", b"\xff\xfe"):
        assert piece in nasty.body
    nasty = faulty(sim, "nul-and-percent", status=400)
    assert nasty.status == 400 and b'"error":"%s%n\\u0000' in nasty.body
    nul = faulty(sim, "nul").json()
    assert "\0" in nul["access_token"] and "\0" in nul["refresh_token"] and nul["expires_in"] == 3600
    long = faulty(sim, "long-token").json()
    assert len(long["access_token"]) == 2049


def test_fault_made_up_tokens_are_listed(sim):
    long = faulty(sim, "long-token").json()
    tokens = sim.tokens()
    assert long["access_token"] in tokens["access"] and long["refresh_token"] in tokens["refresh"]
    assert_error(refresh(sim, long["refresh_token"]), 400, "invalid_grant")
    assert_error(sim.get(TOKENINFO, access_token=long["access_token"]), 400, "invalid_token")


def test_fault_redirect(sim):
    reply = faulty(sim, "redirect")
    assert (reply.status, reply.headers["Location"]) == (302, sim.base + "/elsewhere")
    assert sim.counter("elsewhere.requests") == 0
    sim.get("/elsewhere")
    assert sim.counter("elsewhere.requests") == 1
    assert faulty(sim, "redirect", location="http://127.0.0.1:1/x").headers["Location"] == "http://127.0.0.1:1/x"


# --- the control port ------------------------------------------------------------------------------------


def control_status(sim, method, path, body=b"", headers=None):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return sim.request(method, f"http://127.0.0.1:{sim.control_port}{path}", body or None, headers or form).status


@pytest.mark.parametrize("path, body", [
    ("/set", b"unknown=1"), ("/set", b"token_lifetime=x"), ("/set", b"token_lifetime="), ("/set", b"interval=-1"),
    ("/set", b"token_lifetime=99999999999999999999"), ("/set", b"rotation=maybe"), ("/set", b"delay_ms=600001"),
    ("/set", b"token_type=" + b"x" * 64), ("/set", b"rotation=%ff"), ("/fault", b""), ("/fault", b"endpoint=token"),
    ("/fault", b"kind=reset"), ("/fault", b"endpoint=pages&kind=reset"), ("/fault", b"endpoint=token&kind=none"),
    ("/fault", b"endpoint=token&kind=status-"), ("/fault", b"endpoint=token&kind=status-199"),
    ("/fault", b"endpoint=token&kind=status-600"), ("/fault", b"endpoint=token&kind=reset&count=x"),
    ("/fault", b"endpoint=token&kind=reset&colour=red"), ("/fault", b"endpoint=token&kind=redirect&location=%0d%0aX"),
    ("/approve", b"user_code=x&answer=maybe"), ("/mint", b"scope="), ("/mint", b"scope=x"), ("/mint", b""),
    ("/mint", b"scope=profile&customer="), ("/mint", b"scope=profile&client_id=x"), ("/revoke", b""),
    ("/mint", b"scope=profile&customer=" + b"x" * 65), ("/approve", b""), ("/revoke", b"refresh_token=x"),
    ("/nothing", b""), ("/state", b""),
])
def test_control_refuses(sim, path, body):
    assert control_status(sim, "POST", path, body) in (400, 404)


def test_control_settings_are_all_or_none(sim):
    assert control_status(sim, "POST", "/set", b"interval=9&nonsense=1") == 400
    assert sim.state()["settings"]["interval"] == 5


def test_control_wants_forms(sim):
    assert control_status(sim, "POST", "/set", b"{}", {"Content-Type": "application/json"}) == 400
    assert control_status(sim, "GET", "/set") == 404


def test_control_approve_settles_once(sim):
    codes = pair(sim).json()
    sim.control("/approve", user_code=codes["user_code"], customer="dora")
    assert control_status(sim, "POST", "/approve", b"user_code=" + codes["user_code"].encode()) == 409
    profile = sim.get("/user/profile", access_token=poll(sim, codes).json()["access_token"]).json()
    assert profile["name"] == "Dora Example"


def test_control_state(sim):
    codes = pair(sim, "profile music::library").json()
    token = mint(sim, "postal_code", customer="bob")
    refresh(sim, token)
    refresh(sim, "Atzr|x")
    poll(sim, codes)
    state = sim.state()
    counters = state["counters"]
    assert counters["codepair.ok"] == 1
    assert counters["token.refresh_token.requests"] == 2
    assert counters["token.refresh_token.ok"] == 1
    assert counters["token.refresh_token.invalid_grant"] == 1
    assert counters["token.device_code.authorization_pending"] == 1
    assert state["code_pairs"][0]["user_code"] == codes["user_code"]
    assert state["code_pairs"][0]["state"] == "pending"
    assert (state["grants"], state["tokens"], state["refreshes_at_once_max"]) == (1, 2, 1)
    grant = state["grant_list"][0]
    assert (grant["customer"], grant["scope"], grant["refreshes"]) == ("bob", "postal_code", 1)
    assert grant["last_refresh_token_sha256"] == hashlib.sha256(token.encode()).hexdigest()


def test_control_tokens_lists_all_ever_made(sim):
    sim.control("/set", rotation="new", rotation_kills_old="yes")
    first = mint(sim)
    body = refresh(sim, first).json()
    assert sim.tokens() == {"refresh": [first, body["refresh_token"]], "access": [body["access_token"]]}


def test_control_reset(sim):
    token = mint(sim)
    sim.control("/set", interval=9)
    sim.control("/fault", endpoint="any", kind="reset", count=0)
    sim.control("/reset")
    state = sim.state()
    assert (state["settings"]["interval"], state["grants"], state["faults"], state["counters"]) == (5, 0, [], {})
    assert_error(refresh(sim, token), 400, "invalid_grant")


def test_control_faults_are_bounded(sim):
    for _ in range(64):
        sim.control("/fault", endpoint="api", kind="reset")
    assert control_status(sim, "POST", "/fault", b"endpoint=api&kind=reset") == 400


# --- hostile input and load ------------------------------------------------------------------------------


def raw(sim, data, is_tls=True):
    """Sends bytes, and returns what comes back until the other side closes or falls silent."""
    port = sim.port if is_tls else sim.control_port
    connection = socket.create_connection(("127.0.0.1", port), 10)
    if is_tls:
        connection = sim.tls.wrap_socket(connection, server_hostname="localhost")
    answer = b""
    with connection:
        connection.settimeout(1)
        try:
            connection.sendall(data)
            while True:
                piece = connection.recv(65536)
                if not piece:
                    return answer
                answer += piece
        except OSError:
            return answer


@pytest.mark.parametrize("is_tls", [True, False])
def test_hostile_requests(sim, is_tls):
    head = b"Host: localhost\r\nConnection: close\r\n"
    form = b"Content-Type: application/x-www-form-urlencoded\r\n"
    requests = [
        b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n\r\n",
        b"GET /%00 HTTP/1.1\r\n" + head + b"\r\n", b"GET /%zz?%ff HTTP/1.1\r\n" + head + b"\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\n" + head + b"\r\n", b"GET " + b"/" * 40000 + b" HTTP/1.1\r\n" + head + b"\r\n",
        b"GET /code?user_code=%u0000 HTTP/1.1\r\n" + head + b"\r\n",
        b"GET https://localhost/code HTTP/1.1\r\n" + head + b"\r\n",
        b"GET / HTTP/1.1\r\n" + head + b"X: " + b"y" * 100000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + head + b"X: y\r\n" * 5000 + b"\r\n",
        b"POST /code HTTP/1.1\r\n" + head + b"Content-Length: -1\r\n\r\n",
        b"POST /code HTTP/1.1\r\n" + head + b"Content-Length: 99999999999999999999\r\n\r\n",
        b"POST /code HTTP/1.1\r\n" + head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /code HTTP/1.1\r\n" + head + form + b"Transfer-Encoding: chunked\r\n\r\n5\r\na=b&c\r\n0\r\n\r\n",
        b"POST /set HTTP/1.1\r\n" + head + form + b"Content-Length: 10\r\n\r\na=",
        b"POST /auth/o2/token HTTP/1.1\r\n" + head + form + b"Content-Length: 2\r\n\r\n%\0",
        b"OPTIONS * HTTP/1.1\r\n" + head + b"\r\n", b"BREW /auth/o2/token HTTP/1.1\r\n" + head + b"\r\n",
        b"GET /v1/me HTTP/1.1\r\n" + head + b"Authorization: Bearer \xff\xfe%s%n\r\nx-api-key: \xff\r\n\r\n",
        b"GET /auth/o2/tokeninfo HTTP/1.1\r\n" + head + b"x-amz-access-token: %s%n\xff\r\n\r\n",
        b"HEAD /code HTTP/1.1\r\n" + head + b"\r\n",
    ]
    for request in requests:
        raw(sim, request, is_tls)
    assert sim.process.poll() is None
    assert pair(sim).status == 200


def test_not_tls_on_the_tls_port(sim):
    with socket.create_connection(("127.0.0.1", sim.port), 10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        plain.settimeout(5)
        try:
            assert not plain.recv(100).startswith(b"HTTP/1.1 200")
        except OSError:
            pass
    assert pair(sim).status == 200


def test_large_bodies(sim):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert sim.request("POST", TOKEN, b"a=" + b"x" * 65534, form).status == 400
    reply = sim.request("POST", TOKEN, b"a=" + b"x" * 65535, form)
    assert_error(reply, 413, "invalid_request")
    assert sim.request("POST", "/code", b"x" * (1 << 20), form).status in (400, 413)


def test_wrong_methods_and_paths(sim):
    for method, path in (("GET", TOKEN), ("GET", CODEPAIR), ("POST", TOKENINFO), ("PUT", "/code"),
                         ("DELETE", "/user/profile")):
        assert sim.request(method, path).status == 405
    for path in ("/auth/o2", "/auth/o2/revoke", "/nothing", "/auth/o2/token/"):
        assert sim.request("GET", path).status == 404


def test_pairs_and_pages_are_bounded(sim):
    connection = http.client.HTTPSConnection("localhost", sim.port, context=sim.tls, timeout=20)
    first = type_code(sim, pair(sim).json()["user_code"])
    for _ in range(1030):
        connection.request("GET", "/code")
        connection.getresponse().read()
    connection.close()
    assert sim.post("/code", page_token=page_token(first), customer="bob", answer="allow").status == 403


def test_keep_alive_and_many_at_once(sim):
    token = mint(sim)
    body = urllib.parse.urlencode({"grant_type": "refresh_token", "refresh_token": token,
                                   "client_id": sim.client_id})
    failures = []

    def hammer():
        connection = http.client.HTTPSConnection("localhost", sim.port, context=sim.tls, timeout=30)
        for _ in range(100):
            connection.request("POST", TOKEN, body, {"Content-Type": "application/x-www-form-urlencoded"})
            reply = connection.getresponse()
            if reply.status != 200 or b"access_token" not in reply.read():
                failures.append(reply.status)
        connection.close()

    threads = [threading.Thread(target=hammer) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert sim.counter("token.refresh_token.ok") == 1600
    assert len(set(sim.tokens()["access"])) == 1600


# --- the program and the certificates --------------------------------------------------------------------


def test_signals_end_it_cleanly(tmp_path):
    for number in (signal.SIGTERM, signal.SIGINT):
        with Simulator(tmp_path) as sim:
            token = mint(sim)
            sim.control("/fault", endpoint="token", kind="hang-before")
            thread = threading.Thread(target=lambda: pytest.raises(NO_ANSWER, refresh, sim, token))
            thread.start()
            deadline = time.monotonic() + 10
            while sim.state()["refreshes_under_way"] == 0:
                assert time.monotonic() < deadline
            sim.process.send_signal(number)
            assert sim.process.wait(10) == 0
            thread.join(10)


def test_options(tmp_path):
    arguments = ("--client-id", "dev", "--web-client-id", "web", "--client-secret", "s",
                 "--security-profile-id", "app", "--public-base", "https://sim.example")
    with Simulator(tmp_path, *arguments) as sim:
        assert (sim.client_id, sim.web_client_id, sim.client_secret) == ("dev", "web", "s")
        assert pair(sim).json()["verification_uri"] == "https://sim.example/code"
        assert sim.get(TOKENINFO, access_token=access(sim)).json()["app_id"] == "app"


def test_listens_on_loopback_only(sim):
    wanted = {f"{port:04X}" for port in (sim.port, sim.control_port)}
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {row[1] for row in rows if row[3] == "0A" and row[1].split(":")[1] in wanted}
    assert listening == {"0100007F:" + port for port in wanted}


def run(sim, *arguments):
    return subprocess.run([sim.binary, *arguments], capture_output=True, text=True, timeout=20)


def test_bad_command_lines(sim, tmp_path):
    cert, key = str(sim.certs / "cert.pem"), str(sim.certs / "key.pem")
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\0\xff garbage")
    for arguments in ([], ["--cert", cert], ["--nonsense"], ["--cert", cert, "--key", key, "extra"],
                      ["--cert", "/none", "--key", key], ["--cert", str(empty), "--key", key],
                      ["--cert", str(garbage), "--key", key], ["--cert", key, "--key", cert],
                      ["--cert", cert, "--key", key, "--port", "65536"],
                      ["--cert", cert, "--key", key, "--port", str(sim.port)],
                      ["--cert", cert, "--key", key, "--control-port", str(sim.control_port)],
                      ["--cert", cert, "--key", key, "--ports-file", "/none/ports"]):
        result = run(sim, *arguments)
        assert result.returncode == 1 and result.stderr, arguments
        assert "Sanitizer" not in result.stderr
    assert run(sim, "--help").returncode == 0
    assert "--ports-file FILE" in run(sim, "--help").stdout


@pytest.mark.parametrize("option, reason", [("--expired", "expired"), ("--not-yet-valid", "not yet valid"),
                                            ("--other-host", "mismatch")])
def test_bad_certificates(tmp_path, option, reason):
    certs = tmp_path / "certs"
    subprocess.run([HARNESS / "make-certs", option, certs], check=True, timeout=30)
    sim = Simulator(tmp_path)
    with Simulator(tmp_path, certs=certs) as sim:
        with pytest.raises(OSError, match=reason):
            sim.get("/code")


def test_make_certs_usage():
    for arguments in ([], ["--nonsense", "x"], ["a", "b"]):
        assert subprocess.run([HARNESS / "make-certs", *arguments], capture_output=True, timeout=20).returncode == 2
