"""The web server around the app: uvicorn on a socket of ours, and what it does not do by itself."""
