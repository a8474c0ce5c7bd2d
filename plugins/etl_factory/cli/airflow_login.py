"""How the command line enters an Airflow: with a token, a name and password, or Google's own credentials."""

from __future__ import annotations

from urllib.parse import urlsplit

from etl_factory.cli.airflow_api import Airflow, Login, request
from etl_factory.errors import AccessDeniedError, ConfigError, TransientError
from etl_factory.settings import Settings

SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def airflow_of(settings: Settings) -> Airflow:
    """Return the Airflow that the settings name, with their login; raises ConfigError when they name none."""
    url = settings.airflow_url
    if urlsplit(url).scheme not in ("http", "https"):
        raise ConfigError(
            f"ETL_FACTORY_AIRFLOW_URL is {url!r}: set it to the address of Airflow's web server, such as"
            " https://airflow.example.com"
        )
    if settings.airflow_token:
        return Airflow(url, lambda: settings.airflow_token)
    if settings.airflow_username:
        return Airflow(url, password_login(url, settings.airflow_username, settings.airflow_password))
    return Airflow(url, google_login)


def password_login(url: str, username: str, password: str) -> Login:
    """Return a login by name and password, as Airflow's own auth managers offer it."""
    body = {"username": username, "password": password}
    return lambda: str(request("POST", f"{url.rstrip('/')}/auth/token", body)["access_token"])


def google_login() -> str:
    """Return an access token of Google's application default credentials, which is what Composer takes."""
    import google.auth
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.auth.transport.requests import Request

    try:
        credentials, _ = google.auth.default(scopes=[SCOPE])
        credentials.refresh(Request())  # type: ignore[no-untyped-call]  # Google's own
    except TransportError as error:
        raise TransientError(f"Google does not answer the login: {error}") from error
    except GoogleAuthError as error:
        raise AccessDeniedError(
            "there is no login for Airflow: set ETL_FACTORY_AIRFLOW_USERNAME and ETL_FACTORY_AIRFLOW_PASSWORD, or"
            f" ETL_FACTORY_AIRFLOW_TOKEN; for Composer run `gcloud auth application-default login` ({error})"
        ) from error
    return str(credentials.token)
