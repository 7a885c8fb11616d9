"""Eight threads that do the same at once, for as long as they are told to."""

import threading
import time

THREADS = 8
SECONDS = 0.7


class Crew:
    """Threads that run a function until time is up; the first exception is raised here."""

    def __init__(self):
        self.stop = threading.Event()
        self.errors = []
        self.rounds = [0] * THREADS
        self.barrier = threading.Barrier(THREADS + 1)

    def _work(self, function, number):
        self.barrier.wait()
        try:
            while True:
                if function(number) is False:
                    return
                self.rounds[number] += 1
                if self.stop.is_set():
                    return
        except BaseException as error:
            self.errors.append(error)
            self.stop.set()

    def run(self, function, meanwhile=None, seconds=SECONDS):
        """Runs `function(number)` in every thread, and `meanwhile()` here, again and again.

        A function that returns False has done its work, and a `meanwhile` ends it for all.
        """
        threads = [threading.Thread(target=self._work, args=(function, n)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        self.barrier.wait()
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end and any(thread.is_alive() for thread in threads):
                if meanwhile is None:
                    time.sleep(0.01)
                elif meanwhile() is False:
                    break
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()
        if self.errors:
            raise self.errors[0]
        return self.rounds
