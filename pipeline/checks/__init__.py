"""What can be refused before anything is computed: what is known of a run by then, and checks that stages share."""
