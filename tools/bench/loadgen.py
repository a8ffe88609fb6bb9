"""A small load for the life-cycle benchmark, on keep-alive connections."""

import http.client
import threading

ONE = '{"feature":"f","action":"a","status":200,"durationMs":1.5}'


def one_request(port, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/api/v1/events", body, {"Content-Type": "application/x-ndjson"})
    return connection.getresponse().status


class Load:
    def __init__(self, port, clients):
        self.port = port
        self.over = False
        self.threads = [threading.Thread(target=self.run) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        while not self.over:
            try:
                connection.request("POST", "/api/v1/events", ONE, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                if answer.will_close:
                    return
            except OSError:
                return
            except http.client.HTTPException:
                return

    def finish(self):
        self.over = True
        for thread in self.threads:
            thread.join()
