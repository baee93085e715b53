"""The window in which a campaign is annotated, on napari.

``campaign_window`` joins a session and a viewer: ``volume_layers`` shows images and label,
``window_strokes`` takes what is painted, ``work_dock`` says what is to be done (``work_texts``),
``window_keys`` lists the keys and ``key_actions`` what they do. ``open_window`` starts napari where
``display_check`` says that it can; ``napari_plugin`` is what napari's menus call.
"""
