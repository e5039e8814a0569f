# For processors. docker build --tag refinevad .
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/work" refinevad detect --input=video.mp4
FROM python:3.12.12-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY refinevad_jax refinevad_jax
COPY data_prep data_prep
COPY configs configs
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12.12-slim-bookworm
COPY constraints.txt /wheels/
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --constraint /wheels/constraints.txt /wheels/*.whl \
    && refinevad --version \
    && useradd --create-home --uid 1000 refinevad
USER 1000
# Caches of compiled programs, also for another --user, who has no home.
ENV HOME=/tmp
WORKDIR /work
ENTRYPOINT ["refinevad"]
