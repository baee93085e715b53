"""The window in which a campaign is annotated, on napari.

``campaign_window`` joins a session and a viewer: ``volume_layers`` shows images and label,
``work_dock`` what is to be done, ``window_keys`` lists the keys. ``open_window`` starts
napari where ``display_check`` says that it can; ``napari_plugin`` is what napari's menus call.
"""
