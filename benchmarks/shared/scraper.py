"""`python scraper.py ADDRESS TOKEN TIMES`: scrapes one after the other. Prints seconds a scrape, and the bytes of the last."""

import http.client
import sys
import time


def main(address: str, token: str, times: int) -> None:
    took_s, size = 0.0, 0
    buffer = bytearray(1 << 18)
    for _ in range(times):
        connection = http.client.HTTPConnection(address)
        began_s = time.perf_counter()
        connection.request("GET", "/metrics", headers={"authorization": f"Bearer {token}"})
        with connection.getresponse() as answer:
            assert answer.status == 200, answer.status
            size = 0
            while got := answer.readinto(buffer):
                size += got
        took_s += time.perf_counter() - began_s
        connection.close()
    print(took_s / times, size)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
