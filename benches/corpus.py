#!/usr/bin/env python3
"""Writes an invented access log to standard output: corpus.py BYTES [SEED] [--format F] [--clients N] [--agents N] [--hostile KIND]

The same arguments give the same bytes. 15 % of the requests come from IPv6 clients; clients, paths and agents follow
Zipf's law; a client keeps its agent. Queries hold e-mails and tokens now and then, one request in a hundred has a
user, one line in a thousand is broken. Suffixes K, M and G are powers of ten: 1M to 10G take memory for one batch.

--format   combined (also without it), json (nginx's), w3c (IIS), alb (AWS), nginx-error
--clients  so many distinct addresses, 10 to 10M, each as often as any other
--agents   the same for user agents
--hostile  caches (no value comes twice), rejects (no line parses), residual (every kept value needs the closer look)
"""
import argparse
import itertools
import random
import sys

CLIENTS_V4, CLIENTS_V6, PATHS = 120_000, 25_000, 4_000
BATCH = 10_000
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
WORDS = """about account api archive article assets basket blog book brand cart category checkout contact css docs
download event export feed field forum garden help history home image info js kitchen lamp list login logout mail map
media member menu news offer order page photo press price print product profile report review sale search shop size
sock static status store style support table tag team theme topic user video watch wiki wool""".split()


def zipf(count, exponent=1.0):
    return list(itertools.accumulate(1 / (rank + 2) ** exponent for rank in range(count)))


def agents():
    kit = "AppleWebKit/537.36 (KHTML, like Gecko)"
    for version in range(138, 104, -2):
        chrome = f"Chrome/{version}.0.0.0"
        yield f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {kit} {chrome} Safari/537.36"
        yield f"Mozilla/5.0 (Linux; Android 10; K) {kit} {chrome} Mobile Safari/537.36"
        yield f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {kit} {chrome} Safari/537.36"
        yield f"Mozilla/5.0 (X11; Linux x86_64) {kit} {chrome} Safari/537.36"
        yield f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {kit} {chrome} Safari/537.36 Edg/{version}.0.0.0"
        yield f"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
        yield f"Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
    for major, minor in itertools.product((18, 17, 16, 15), (6, 4, 1)):
        safari = f"AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{major}.{minor}"
        yield f"Mozilla/5.0 (iPhone; CPU iPhone OS {major}_{minor} like Mac OS X) {safari} Mobile/15E148 Safari/604.1"
        yield f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {safari} Safari/605.1.15"
    yield from (
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        f"Mozilla/5.0 {kit[:-1]}; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36",
        "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
        "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "curl/8.5.0", "Wget/1.21.3", "python-requests/2.31.0", "Go-http-client/2.0", "okhttp/4.12.0", "kube-probe/1.28", "-",
    )


def number(text):
    return int(float(text.rstrip("KMG")) * {"K": 1e3, "M": 1e6, "G": 1e9}.get(text[-1], 1))


def spread(index, seed):
    """The same number for the same index, all over 32 bits, and another one for every other index (odd factors are bijections)."""
    index = (index * 2654435761 + seed) % 2**32
    return (index ^ index >> 15) * 2246822519 % 2**32


HEADS = {
    "w3c": "#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port"
    " cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken\n",
}


def laid_out(form, v):
    """A record in a layout; `v` has its values by name."""
    path, _, query = v["url"].partition("?")
    if form == "combined":
        return '{address} - {user} [{time}] "{method} {url} HTTP/{http}" {status} {bytes} "{referrer}" "{agent}"\n'.format(**v)
    if form == "json":
        return (
            '{{"time_local":"{time}","remote_addr":"{address}","remote_user":"{user}","request":"{method} {url} HTTP/{http}","status":"{status}",'
            '"body_bytes_sent":"{bytes}","request_time":"0.004","http_referer":"{referrer}","http_user_agent":"{agent}","http_x_forwarded_for":"{address}"}}\n'
        ).format(**v)
    if form == "w3c":
        agent, query = v["agent"].replace(" ", "+"), query or "-"
        return "{date} {clock} 10.0.0.5 {method} {path} {query} 443 {user} {address} {plus} {referrer} {status} 0 0 27\n".format(**v, path=path, query=query, plus=agent)
    if form == "alb":
        peer = "[" + v["address"] + "]" if ":" in v["address"] else v["address"]
        return (
            'https {date}T{clock}.186641Z app/front/50dc6c495c0c9188 {peer}:2817 10.0.0.1:80 0.086 0.048 0.037 {status} {status} 0 {bytes} '
            '"{method} https://www.shop.example:443{url} HTTP/{http}" "{agent}" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 '
            'arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/front/73e2d6bc24d8a067 "Root=1-58337262-36d228ad5d99923122bbe354" "www.shop.example" "-" 1 '
            '{date}T{clock}.364000Z "forward" "-" "-" "10.0.0.1:80" "{status}" "-" "-"\n'
        ).format(**v, peer=peer)
    return (
        '{slashed} {clock} [error] 31#31: *{bytes} open() "/srv/www{path}" failed (2: No such file or directory), client: {address}, server: www.shop.example, '
        'request: "{method} {url} HTTP/{http}", host: "www.shop.example", referrer: "{referrer}"\n'
    ).format(**v, path=path, slashed=v["date"].replace("-", "/"))


def main():
    parser = argparse.ArgumentParser(usage=__doc__.splitlines()[0].partition(": ")[2])
    parser.add_argument("size", type=number)
    parser.add_argument("seed", nargs="?", default="logfade")
    parser.add_argument("--format", choices=("combined", "json", "w3c", "alb", "nginx-error"), default="combined")
    parser.add_argument("--clients", type=number)
    parser.add_argument("--agents", type=number)
    parser.add_argument("--hostile", choices=("caches", "rejects", "residual"))
    asked = parser.parse_args()
    size, hostile = asked.size, asked.hostile
    rng = random.Random(asked.seed)
    mix = random.Random(asked.seed + " values").getrandbits(32)
    agent = list(agents())
    rng.shuffle(agent)
    agent_weights = zipf(len(agent))

    def v4():
        return f"{rng.choice((rng.randrange(1, 10), rng.randrange(11, 127), rng.randrange(128, 224)))}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"

    def v6():
        net = f"{rng.choice(('2001:db8', '2a01:cb0', '2600:1700', '2a02:8108', '2409:8a00'))}:{rng.randrange(1, 65536):x}"
        return f"{net}::{rng.randrange(1, 65536):x}" if rng.random() < 0.2 else ":".join([net] + [f"{rng.randrange(1, 65536):x}" for _ in range(5)])

    clients = [[(make(), rng.choices(agent, cum_weights=agent_weights)[0]) for _ in range(count)] for make, count in ((v4, CLIENTS_V4), (v6, CLIENTS_V6))]
    client_weights = [zipf(CLIENTS_V4), zipf(CLIENTS_V6)]
    kinds = ("", "", "/", ".html", ".css", ".js", ".png", "/1", "/42", "/comments")
    paths = ["/"] + ["/" + "/".join(rng.choices(WORDS, k=rng.randrange(1, 5))) + rng.choice(kinds) for _ in range(PATHS - 1)]
    path_weights = zipf(PATHS, 0.9)

    def query():
        pick = rng.random()
        if pick < 0.5:
            return f"?page={rng.randrange(1, 60)}&sort={rng.choice(WORDS)}"
        if pick < 0.8:
            return f"?q={rng.choice(WORDS)}+{rng.choice(WORDS)}&utm_source={rng.choice(WORDS)}&utm_medium=mail"
        if pick < 0.9:
            return f"?email={rng.choice(WORDS)}.{rng.choice(WORDS)}%40mail.example&id={rng.randrange(10**6)}"
        return f"?token={rng.getrandbits(128):032x}&uid={rng.randrange(10**7)}"

    def referrer():
        pick = rng.random()
        if pick < 0.4:
            return "-"
        if pick < 0.85:
            return "https://www.shop.example" + rng.choices(paths, cum_weights=path_weights)[0] + (query() if pick > 0.75 else "")
        return f"https://www.{rng.choice(WORDS)}.example/results?q={rng.choice(WORDS)}+{rng.choice(WORDS)}"

    def four(index):
        bits = spread(index, mix)
        return f"{1 + (bits >> 24) % 223}.{bits >> 16 & 255}.{bits >> 8 & 255}.{bits & 255}"

    def six(index):
        bits = spread(index, mix)
        return f"2001:db8:{bits >> 16:x}:{bits & 65535:x}::{index % 65535 + 1:x}"

    def unlike(record, index):
        """The record with values that never come again, or that all hold what the closer look has to find."""
        v = spread(index, mix)
        record["address"] = six(index) if index % 7 == 0 else four(index)
        if hostile == "caches":
            record.update(url=f"/{WORDS[v % len(WORDS)]}/{v:x}?page={index}", referrer=f"https://h{v:x}.example/{index}", agent=f"{record['agent']} n/{index}", user=f"u{v:x}")
        if hostile == "residual":
            dashed = four(index + 1).replace(".", "-")
            record.update(url=f"/a/{four(index)}/{dashed}.dsl/u{v}@mail{v % 99}.example/{v:08x}%2e{v:x}", referrer=f"https://{dashed}.dsl.example/a", agent=f"Agent/1.0 ({four(index)}; {six(index)})")
        return record

    second, written, made, out = 0, 0, 0, sys.stdout.buffer
    if asked.format in HEADS:
        written = out.write(HEADS[asked.format].encode())
    while written < size:
        lines = []
        versions = rng.choices((1, 0), cum_weights=(15, 100), k=BATCH)
        for version, path in zip(versions, rng.choices(paths, cum_weights=path_weights, k=BATCH)):
            address, name = rng.choices(clients[version], cum_weights=client_weights[version])[0]
            pick = rng.random()
            second += pick < 0.05
            minutes, seconds = divmod(second, 60)
            hours, minutes = divmod(minutes, 60)
            days, hours = divmod(hours, 24)
            time = f"{days % 28 + 1:02}/{MONTHS[days // 28 % 12]}/2025:{hours:02}:{minutes:02}:{seconds:02} +0000"
            user = rng.choice(WORDS) if pick > 0.99 else "-"
            method = "POST" if 0.1 < pick < 0.14 else "GET"
            status = 200 if pick < 0.85 else rng.choice((200, 301, 302, 304, 304, 404, 499, 500))
            url = path + (query() if 0.3 < pick < 0.55 else "")
            made += 1
            if asked.clients:
                index = rng.randrange(asked.clients)
                address = six(index) if version else four(index)
            if asked.agents and (index := rng.randrange(asked.agents)) >= 0:
                name = agent[index % len(agent)] + (f" n/{index}" if index >= len(agent) else "")
            record = {"address": address, "user": user, "time": time, "method": method, "url": url, "http": rng.choice(("1.1", "2.0")), "status": status}
            record |= {"bytes": int(rng.paretovariate(0.7) * 200) % 10**7, "referrer": referrer(), "agent": name}
            record |= {"date": f"2025-{days // 28 % 12 + 1:02}-{days % 28 + 1:02}", "clock": f"{hours:02}:{minutes:02}:{seconds:02}"}
            line = laid_out(asked.format, unlike(record, made) if hostile else record)
            if hostile == "rejects":
                line = line[: len(line) // 3] + "\n"
            if pick < 0.001:
                line = line[: rng.randrange(10, 80)] + "\n"
            lines.append(line)
        block = "".join(lines).encode()
        if written + len(block) > size:
            block = block[: block.index(b"\n", size - written - 1) + 1]
        written += len(block)
        out.write(block)
    out.flush()


main()
