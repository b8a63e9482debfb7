# Stands in for the image chrislusf/seaweedfs, where no registry of images can be reached: moto's server, which keeps objects in
# memory, in the image of MLflow, which has nearly all that it needs. The folder of the build has the packages that are missing.
ARG MLFLOW_IMAGE
FROM ${MLFLOW_IMAGE}
USER 0:0
COPY packages /opt/moto
COPY s3.py /opt/moto/
RUN printf '#!/bin/sh\nexec python /opt/moto/s3.py get "$@"\n' >/usr/local/bin/wget && chmod 755 /usr/local/bin/wget
ENV PYTHONPATH=/opt/moto
USER 10001:10001
ENTRYPOINT ["python", "/opt/moto/s3.py"]
