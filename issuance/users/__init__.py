"""Who somebody is, and what they may do: verified logins, registered users, rights per city.

Writes alone: desk, desk_user, user_right.
Called by: dags, desk, docpages, stack.
"""
