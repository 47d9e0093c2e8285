"""Drives a browser by the WebDriver protocol (W3C), with nothing but the standard library."""

import base64
import json
import subprocess
import time
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
ENTER, TAB, ESCAPE = "\ue007", "\ue004", "\ue00c"


class Timeout(Exception):
    """What was waited for has not come."""


def wait(condition, what, seconds=60):
    """Returns the first true value of `condition`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise Timeout(what)


class Driver:
    """A chromedriver."""

    def __init__(self, program):
        self.process = subprocess.Popen(
            [program, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for line in self.process.stdout:
            if "successfully on port" in line:
                self.port = int(line.rsplit("on port", 1)[1].strip(" .\n"))
                return
        raise SystemExit("chromedriver has not started")

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"]) from None

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Browser:
    """A browser of its own, as large as a telephone."""

    def __init__(self, driver, program, language="en-US", width=360, height=640, dark=False):
        self.driver = driver
        flags = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        options = {"binary": program, "args": [*flags, f"--lang={language}"]}
        options["prefs"] = {"intl.accept_languages": language}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        body = {"capabilities": {"alwaysMatch": wanted}}
        self.path = "/session/" + driver.call("POST", "/session", body)["sessionId"]
        screen = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": True}
        self.cdp("Emulation.setDeviceMetricsOverride", **screen)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.cdp("Emulation.setEmulatedMedia", features=[scheme])
        agent = self.js("return navigator.userAgent")
        self.cdp("Network.setUserAgentOverride", userAgent=agent, acceptLanguage=language)

    def call(self, method, path, body=None):
        return self.driver.call(method, self.path + path, body)

    def cdp(self, command, **params):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def js(self, script, *args, later=False):
        """Runs a script; one that answers `later` calls its last argument."""
        way = "async" if later else "sync"
        return self.call("POST", f"/execute/{way}", {"script": script, "args": list(args)})

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def reload(self):
        self.call("POST", "/refresh", {})

    def element(self, selector):
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        return found[ELEMENT]

    def type(self, selector, text):
        self.call("POST", f"/element/{self.element(selector)}/value", {"text": text})

    def click(self, selector):
        self.call("POST", f"/element/{self.element(selector)}/click", {})

    def press(self, *keys):
        """Presses keys where the focus is."""
        pairs = [[("keyDown", key), ("keyUp", key)] for key in keys]
        actions = [{"type": kind, "value": key} for pair in pairs for kind, key in pair]
        keyboard = {"type": "key", "id": "keyboard", "actions": actions}
        self.call("POST", "/actions", {"actions": [keyboard]})

    def shot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))

    def complaints(self):
        """What the browser has written to its console since the last call."""
        return [entry["message"] for entry in self.call("POST", "/se/log", {"type": "browser"})]

    def quit(self):
        self.call("DELETE", "")
