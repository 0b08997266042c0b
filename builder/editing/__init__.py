"""Editing of models; `public` holds what is shown as `sardonyx.editing`."""
