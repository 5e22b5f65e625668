"""The connector as one file: what that file does when it is started, before anything of Gatepost is unpacked.

Only Python's own library is used here; ``tools/package`` puts these modules at the front of the file.
"""
