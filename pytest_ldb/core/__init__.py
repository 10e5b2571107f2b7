"""The lifecycle of database servers; it knows neither pytest nor Docker."""
