"""localstripe on 127.0.0.1 and without its file under the temporary directory, which all its servers would share.
usage: localstripe_server.py PORT"""
import sys

from aiohttp import web
from localstripe import resources, server

resources.Store.dump_to_disk = lambda store: None
web.run_app(server.app, host="127.0.0.1", port=int(sys.argv[1]), shutdown_timeout=1)
