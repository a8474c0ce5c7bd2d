# The Cloud Storage emulator; its server is include/devstack/gcs_server.py, which the service mounts.
FROM python:3.13-slim
COPY emulators.txt /tmp/requirements.txt
RUN pip install --no-cache-dir -r /tmp/requirements.txt
