"""The station's window, with Qt: shows a :class:`station.session.Session` and hands on what a person does."""
